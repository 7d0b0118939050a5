import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually as lookUntil } from '../faults/scene.ts';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { type OperatorProcess, startOperator } from '../support/operator.ts';

/**
 * Tests the operator against a real API server, controller manager and scheduler; there is no node,
 * so pods stay Pending.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const digits = (name: string) =>
  readFileSync(join(ROOT, 'examples/digits.yaml'), 'utf8').replace(
    'name: digits #',
    `name: ${name} #`,
  );

let cluster: Cluster;
let nats: TestNats;
let connection: NatsConnection;
let operator: OperatorProcess;

const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const read = async (kind: string, name: string) =>
  JSON.parse(await kubectl('get', kind, name, '-o=json'));
const names = async (kind: string, run: string) =>
  (await kubectl('get', kind, `-l=greedyinfomax.dev/run=${run}`, '-o=name'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice(line.indexOf('/') + 1));

const eventually = <T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  seconds?: number,
): Promise<T> => lookUntil(what, look, { seconds, operator });

const streamNames = async () => {
  const jsm = await jetstreamManager(connection);
  const found: string[] = [];
  for await (const { config } of jsm.streams.list()) found.push(config.name);
  return found.toSorted();
};

const start = () => startOperator({ kubeconfig: cluster.kubeconfig, natsUrl: nats.url });

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  nats = await startNats();
  connection = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  const definitions = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map(
    (name) => `--filename=${join(ROOT, 'crds', `${name}.yaml`)}`,
  );
  await kubectl('apply', ...definitions);
  await cluster.crdsEstablished();
  operator = await start();
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  await operator?.stop();
  await connection?.close();
  await nats?.stop();
  await cluster?.stop();
});

describe('the operator', () => {
  it('creates modules, configurations, Jobs and streams for a run', async () => {
    await cluster.apply(digits('first'));
    const jobs = await eventually('three Jobs', async () => {
      const found = await names('jobs', 'first');
      return found.length === 3 && found;
    });
    expect(jobs.toSorted()).toEqual(['first-edges', 'first-shapes', 'first-strokes']);
    expect(await names('gimmod', 'first')).toHaveLength(3);
    const configs = await names('configmaps', 'first');
    expect(configs).toHaveLength(3);
    const config = await read(
      'configmap',
      configs.find((name) => name.includes('strokes')) as string,
    );
    expect(config.immutable).toBe(true);
    expect(JSON.parse(config.data['module.json']).name).toBe('strokes');
    await eventually('two streams', async () => {
      const found = await streamNames();
      return (
        found.includes('GIM_default_first_edges') && found.includes('GIM_default_first_strokes')
      );
    });
    const job = await read('job', 'first-edges');
    expect(job.spec.completionMode).toBe('Indexed');
    const [container] = job.spec.template.spec.containers;
    expect(container.resources.limits['nvidia.com/gpu']).toBe('1');
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
    expect(job.spec.template.spec.automountServiceAccountToken).toBe(false);
  });

  it('reports that it waits, with the scheduler’s reason', async () => {
    const run = await eventually('a status with a cause', async () => {
      const found = await read('gimrun', 'first');
      return /no nodes available/.test(JSON.stringify(found.status ?? {})) && found;
    });
    expect(run.status.phase).toBe('Pending');
    expect(run.status.modules).toHaveLength(3);
    expect(run.status.observedGeneration).toBe(run.metadata.generation);
    const table = await kubectl('get', 'gimrun', 'first');
    expect(table).toContain('Pending');
    for (const line of table.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  });

  it('writes nothing when nothing changes', async () => {
    const writes = async () => {
      const text = await (await fetch(operator.metricsUrl)).text();
      return text
        .split('\n')
        .filter((line) =>
          /^greedyinfomax_rest_client_requests_total.*method="(POST|PATCH|PUT|DELETE)"/.test(line),
        )
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
    };
    const leaseRenewals = async () =>
      Number((await read('lease', 'greedy-infomax-operator')).metadata.resourceVersion) > 0;
    expect(await leaseRenewals()).toBe(true);
    const versions = async () =>
      kubectl(
        'get',
        'gimrun,gimmod,jobs,configmaps',
        '-l=greedyinfomax.dev/run=first',
        '-o=jsonpath={.items[*].metadata.resourceVersion}',
      );
    // A slow machine takes longer until the last status is written.
    const changesInTenSeconds = async () => {
      const before = { versions: await versions(), writes: await writes() };
      await new Promise((done) => setTimeout(done, 10_000));
      const isSame = (await versions()) === before.versions;
      return { isSame, onlyLease: (await writes()) - before.writes <= 6 };
    };
    await expect
      .poll(changesInTenSeconds, { timeout: 120_000 })
      .toEqual({ isSame: true, onlyLease: true });
  });

  it('counts runs by phase in its metrics', async () => {
    const text = await (await fetch(operator.metricsUrl)).text();
    expect(text).toContain('greedyinfomax_runs{phase="Pending"} 1');
    expect(text).toContain(
      'greedyinfomax_leader_election_master_status{name="greedy-infomax-operator"} 1',
    );
    expect(text).toContain('greedyinfomax_nats_connected 1');
  });

  it('suspends and resumes a run', async () => {
    const suspend = (value: boolean) =>
      kubectl('patch', 'gimrun', 'first', '--type=merge', `-p={"spec":{"suspend":${value}}}`);
    await suspend(true);
    await eventually('suspended Jobs', async () => {
      const { items } = JSON.parse(await kubectl('get', 'jobs', '-o=json'));
      return items.every((job: { spec: { suspend?: boolean } }) => job.spec.suspend === true);
    });
    await eventually('the phase Suspended', async () => {
      return (await read('gimrun', 'first')).status.phase === 'Suspended';
    });
    await suspend(false);
    await eventually('the phase Pending', async () => {
      return (await read('gimrun', 'first')).status.phase === 'Pending';
    });
  });

  it('scales a module through the scale subresource', async () => {
    await kubectl('scale', 'gimmod/first-strokes', '--replicas=3');
    await eventually('three completions', async () => {
      const { spec } = await read('job', 'first-strokes');
      return spec.parallelism === 3 && spec.completions === 3;
    });
  });

  it('creates streams again after NATS lost them', async () => {
    await nats.kill();
    await nats.restart();
    await eventually('the streams', async () =>
      (await streamNames()).includes('GIM_default_first_edges'),
    );
  });

  it('creates nothing twice when it is killed and started again', async () => {
    const uids = () =>
      kubectl(
        'get',
        'gimmod,jobs,configmaps',
        '-l=greedyinfomax.dev/run=first',
        '-o=jsonpath={.items[*].metadata.uid}',
      );
    const before = await uids();
    await operator.kill();
    operator = await start();
    await eventually(
      'the operator to be ready',
      async () => (await fetch(`${operator.healthUrl}/readyz`)).ok,
      40,
    );
    await cluster.apply(digits('second'));
    await eventually(
      'the Jobs of another run',
      async () => (await names('jobs', 'second')).length === 3,
      40,
    );
    expect(await uids()).toBe(before);
  });

  it('removes everything of a deleted run', async () => {
    await kubectl('delete', 'gimrun', 'second', '--timeout=30s');
    await eventually(
      'no Jobs',
      async () => (await names('jobs,gimmod,configmaps,pods', 'second')).length === 0,
    );
    expect((await streamNames()).filter((name) => name.includes('second'))).toEqual([]);
  });

  it('deletes a run even when NATS is permanently unavailable', async () => {
    await nats.kill();
    await kubectl('delete', 'gimrun', 'first', '--timeout=40s');
    await nats.restart();
  });

  it('hands over leadership at once when it is asked to stop', async () => {
    const other = await start();
    try {
      expect(await operator.stop()).toBe(0);
      const holder = async () =>
        (await read('lease', 'greedy-infomax-operator')).spec.holderIdentity;
      await cluster.apply(digits('third'));
      await eventually(
        'the other to act',
        async () => (await names('jobs', 'third')).length === 3,
        15,
      );
      expect(await holder()).not.toBe('');
    } finally {
      operator = other;
    }
  });
});
