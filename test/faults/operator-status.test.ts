import { execFile } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Report, reportSubject } from '@greedy-infomax/crds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENTS, JOBS, type RunObject } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { endPod, pulling, setPod, working } from './kubelet.ts';
import { aRun, eventually, NAMESPACE, openScene, type Scene } from './scene.ts';

/**
 * Tests a run's status on a real API server with scheduler and node controller; the tests act as
 * kubelet and trainer. kstatus, used by Flux and Helm to wait, judges it. TRANSCRIPTS=FILE writes
 * kubectl's output to a file.
 */

const TOOLS = resolve(import.meta.dirname, '../cluster/tools.sh');
const { TRANSCRIPTS } = process.env;

let scene: Scene;
let operator: OperatorProcess;
let kstatus: string;
beforeAll(async () => {
  const { stdout } = await promisify(execFile)(TOOLS);
  kstatus = join(stdout.trim(), 'kstatus');
  scene = await openScene();
  if (TRANSCRIPTS) writeFileSync(TRANSCRIPTS, '# What kubectl shows of a run\n');
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await scene?.close();
});

/** Status that kstatus computes for the run. */
async function verdict(run: string): Promise<string> {
  const child = promisify(execFile)(kstatus);
  child.child.stdin?.end(JSON.stringify(await scene.run(run)));
  return JSON.parse((await child).stdout).status;
}

const becomes = (run: string, what: string, is: (run: RunObject) => boolean | undefined) =>
  eventually(
    `${run} to be ${what}`,
    async () => {
      const found = await scene.run(run);
      return found && is(found) && found;
    },
    { operator },
  );
const hasPhase = (run: string, phase: string) =>
  becomes(run, phase, ({ status }) => status?.phase === phase);
const hasReason = (run: string, reason: string) =>
  becomes(run, reason, ({ status }) => status?.modules?.some((module) => module.reason === reason));
const condition = (run: RunObject | undefined, type: string) =>
  run?.status?.conditions?.find((each) => each.type === type);

/** Events of an object of that name. */
async function eventsOf(name: string): Promise<string[]> {
  const { items } = await scene.client.list(EVENTS, NAMESPACE);
  return items
    .filter(
      ({ regarding, reportingController }) =>
        regarding?.name === name && reportingController === 'greedyinfomax.dev/operator',
    )
    .map(({ type, reason }) => `${type} ${reason}`);
}

async function transcribe(title: string, run: string): Promise<void> {
  if (!TRANSCRIPTS) return;
  appendFileSync(TRANSCRIPTS, `\n## ${title}\n`);
  for (const command of [
    ['get', 'gimrun', run],
    ['get', 'gimrun', run, '-o=wide'],
    ['get', 'gimmod', `${run}-first`, '-o=wide'],
    ['describe', 'gimrun', run],
    ['describe', 'gimmod', `${run}-first`],
  ]) {
    const said = await scene.kubectl(...command);
    appendFileSync(TRANSCRIPTS, `\n\`\`\`console\n$ kubectl ${command.join(' ')}\n${said}\`\`\`\n`);
  }
}

async function report(run: string, module: string, change: Partial<Report> = {}): Promise<void> {
  const { uid = '' } = (await scene.run(run))?.metadata ?? {};
  const sent: Report = {
    run: uid,
    module,
    replica: 0,
    phase: 'training',
    step: 10,
    samplesTrained: 320,
    samplesTotal: 2_000_000,
    loss: 2.5,
    lossFirst: 5,
    samplesPerSecond: 9.3,
    stalenessSteps: null,
    stalenessSeconds: null,
    samplesDropped: 0,
    samplesReused: 0,
    checkpointStep: 10,
    at: Date.now() + 1000,
    ...change,
  };
  const subject = reportSubject({ namespace: NAMESPACE, name: run, uid }, module, 0);
  scene.connection.publish(subject, JSON.stringify(sent));
  await scene.connection.flush();
}

/** A node without a kubelet; its heartbeat is set to the current time. */
async function addNode(name: string): Promise<void> {
  const path = '/api/v1/nodes';
  const allocatable = { cpu: '8', memory: '32Gi', pods: '110', 'nvidia.com/gpu': '8' };
  const time = new Date().toISOString();
  const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'ready' };
  await scene.client.call('POST', path, {
    body: { apiVersion: 'v1', kind: 'Node', metadata: { name } },
  });
  await scene.client.call('PATCH', `${path}/${name}/status`, {
    contentType: 'application/merge-patch+json',
    body: {
      status: {
        capacity: allocatable,
        allocatable,
        conditions: [{ ...ready, lastHeartbeatTime: time, lastTransitionTime: time }],
      },
    },
  });
  await scene.client.call('PATCH', `${path}/${name}`, {
    contentType: 'application/merge-patch+json',
    body: { spec: { taints: null } },
  });
}

describe('a run, from its beginning to its end', () => {
  it('is in progress before any operator has seen it', async () => {
    await scene.create(aRun('digits'));
    expect(await verdict('digits')).toBe('InProgress');
  });

  it('quotes the scheduler’s reason while it waits, with one event', async () => {
    operator = await scene.operator();
    const run = await hasReason('digits', 'Unschedulable');
    expect(run.status?.message).toMatch(/no nodes available.*; add nodes that fit/);
    expect(await verdict('digits')).toBe('InProgress');
    await expect
      .poll(() => eventsOf('digits'))
      .toEqual(['Warning Unschedulable', 'Warning Unschedulable']);
    await expect.poll(() => eventsOf('digits-first')).toEqual(['Warning Unschedulable']);
    await transcribe('Waits: no node has a GPU', 'digits');
  });

  it('reports that its image is being pulled, in place of the scheduler’s earlier reason', async () => {
    await addNode('node-1');
    await eventually('both pods to have a node', async () => {
      const said = await scene.kubectl('get', 'pods', '-o=jsonpath={.items[*].spec.nodeName}');
      return said === 'node-1 node-1';
    });
    for (const module of ['first', 'second']) await setPod(scene, 'digits', module, pulling());
    const run = await becomes('digits', 'pulling', ({ status }) =>
      status?.modules?.every(({ reason }) => reason === 'PullingImage'),
    );
    expect(run.status?.message).toMatch(/^module first: image test is being pulled on node node-1/);
    expect(condition(run, 'Degraded')?.status).toBe('False');
    await transcribe('Waits: its image is being pulled', 'digits');
  });

  it('trains, and is Current once its Jobs have started', async () => {
    for (const module of ['first', 'second']) {
      await setPod(scene, 'digits', module, working());
      await report('digits', module);
    }
    await hasPhase('digits', 'Training');
    expect(await verdict('digits')).toBe('Current');
    const stdout = await scene.kubectl('get', 'gimrun', 'digits');
    expect(stdout).toMatch(/ETA.*RESTARTS.*FAILURE/);
    expect(stdout).toMatch(/\b2d11h\b/);
    const module = await scene.kubectl(
      'get',
      'gimmod',
      'digits-first',
      '-o=jsonpath={.status.conditions[*].type}',
    );
    expect(module).toBe('Ready Progressing Degraded');
    await transcribe('Trains', 'digits');
  });

  it('names the node that does not respond, with one event', async () => {
    await hasReason('digits', 'NodeLost');
    const run = await becomes('digits', 'lost', ({ status }) =>
      status?.modules?.every(({ reason }) => reason === 'NodeLost'),
    );
    expect(run.status?.phase).toBe('Pending');
    expect(run.status?.message).toMatch(
      /^module first: node node-1 does not answer since .*kubectl delete pod digits-first-0-\w+ --force/,
    );
    expect(condition(run, 'Progressing')?.status).toBe('False');
    const lost = async () => (await eventsOf('digits-first')).filter((e) => e.includes('NodeLost'));
    await eventually('an event', async () => (await lost()).length > 0);
    expect(await lost()).toEqual(['Warning NodeLost']);
    await transcribe('Lost a node', 'digits');
  });

  it('completes with its trainers’ proof, reported alike by run and modules', async () => {
    for (const module of ['first', 'second'])
      await endPod(scene, 'digits', module, { exitCode: 0 });
    const run = await hasPhase('digits', 'Complete');
    expect(run.status?.modules?.map(({ phase, samples }) => [phase, samples])).toEqual([
      ['Complete', 640],
      ['Complete', 640],
    ]);
    expect(await verdict('digits')).toBe('Current');
    const phases = () => scene.kubectl('get', 'gimmod', '-o=jsonpath={.items[*].status.phase}');
    await eventually('modules to agree', async () => (await phases()) === 'Complete Complete');
    await transcribe('Complete', 'digits');
  });
});

it('treats a trainer that exits with 0 but without proof as failed and replaces its Job', async () => {
  await scene.create(aRun('killed', ['first', 'second']));
  const uidOf = async () =>
    (await scene.list(JOBS, 'killed')).find(({ metadata }) => metadata.name === 'killed-first')
      ?.metadata.uid;
  const before = await eventually('a Job', uidOf, { operator });
  await endPod(scene, 'killed', 'first', { exitCode: 0, reason: 'OOMKilled', message: '' });
  const run = await becomes('killed', 'restarted', ({ status }) => status?.restarts === 1);
  expect(run.status?.lastFailure).toMatchObject({
    module: 'first',
    reason: 'OOMKilled',
    exitCode: 0,
  });
  await eventually('another Job', async () => ![before, undefined].includes(await uidOf()), {
    operator,
  });
  const both = ['first', 'second'];
  for (const module of both) await setPod(scene, 'killed', module, working());
  const again = await eventually(
    'killed to train again',
    async () => {
      // Trainers publish until they end. The operator ignores reports of replaced ones.
      for (const module of both) await report('killed', module);
      const found = await scene.run('killed');
      return found?.status?.phase === 'Training' && found;
    },
    { operator },
  );
  expect(again.status).toMatchObject({ restarts: 1, lastFailure: { reason: 'OOMKilled' } });
  await expect.poll(() => eventsOf('killed-first')).toContain('Warning OOMKilled');
  await transcribe('Trains again after its trainer was killed for memory', 'killed');
});

it('a failed run is Failed for kstatus too, and reports the reason once', async () => {
  await scene.create(aRun('wrong'));
  const message = JSON.stringify({ outcome: 'failed', message: 'the folder /data has no images' });
  await endPod(scene, 'wrong', 'first', { exitCode: 64, message });
  await hasPhase('wrong', 'Failed');
  expect(await verdict('wrong')).toBe('Failed');
  const warnings = async () =>
    (await eventsOf('wrong')).filter((event) => !event.includes('Unschedulable'));
  await eventually('an event', async () => (await warnings()).length > 0);
  expect(await warnings()).toEqual(['Warning ModuleFailed']);
  const phases = () =>
    scene.kubectl(
      'get',
      'gimmod',
      'wrong-first',
      'wrong-second',
      '-o=jsonpath={.items[*].status.phase}',
    );
  await eventually('modules to agree', async () => (await phases()) === 'Failed Stopped');
  await transcribe('Failed', 'wrong');
});

it('a run reports since when NATS is unreachable, and that it is back', async () => {
  await scene.create(aRun('alone'));
  await hasReason('alone', 'Unschedulable');
  await scene.nats.stop();
  const run = await becomes(
    'alone',
    'without NATS',
    (each) => condition(each, 'NATSReachable')?.status === 'False',
  );
  expect(condition(run, 'NATSReachable')?.message).toMatch(
    /^the operator does not reach NATS since 20.*; start the NATS server again/,
  );
  const aboutNats = async () => (await eventsOf('alone')).filter((event) => event.includes('NATS'));
  await expect.poll(aboutNats).toEqual(['Warning NATSUnavailable']);
  await transcribe('NATS is away', 'alone');
});

it('kubectl explain documents the status', async () => {
  const said = await scene.kubectl('explain', 'gimrun.status');
  expect(said).toContain('lastFailure');
  if (TRANSCRIPTS) {
    appendFileSync(
      TRANSCRIPTS,
      `\n## Explained\n\n\`\`\`console\n$ kubectl explain gimrun.status\n${said}\`\`\`\n`,
    );
  }
});
