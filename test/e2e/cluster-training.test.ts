import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { USER_ID } from '../../operator/src/plan/kubernetes/names.ts';
import {
  CHECKOUT_VOLUMES,
  CLUSTER_TIMEOUT,
  type Cluster,
  NODE_IMAGE,
  startCluster,
} from '../support/cluster.ts';
import { TINY } from '../support/gim.ts';
import { startNats, type TestNats } from '../support/nats.ts';
import { type OperatorProcess, startOperator } from '../support/operator.ts';

/**
 * A run on a cluster from `kubectl apply` to its end: real pods, with one (simulated) GPU each,
 * that really train.
 */

const ROOT = resolve(import.meta.dirname, '../..');

interface Job {
  metadata: { name: string };
}

let cluster: Cluster;
let nats: TestNats;
let operator: OperatorProcess;
let disk: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, gpus: 3 });
  nats = await startNats(cluster.hostAddress);
  const definitions = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map(
    (name) => `--filename=${join(ROOT, 'crds', `${name}.yaml`)}`,
  );
  await kubectl('apply', ...definitions);
  await cluster.crdsEstablished();
  disk = mkdtempSync(join(tmpdir(), 'greedy-infomax-disk-'));
  chownSync(disk, USER_ID, USER_ID);
  await cluster.apply(claim(disk));
  operator = await startOperator({
    kubeconfig: cluster.kubeconfig,
    natsUrl: nats.url,
    trainerImage: NODE_IMAGE,
  });
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  await operator?.stop();
  await nats?.stop();
  await cluster?.stop();
  if (disk) rmSync(disk, { recursive: true, force: true });
});

/** A folder of the node as a volume, and the claim `checkpoints` bound to it. */
const claim = (path: string): string => `
apiVersion: v1
kind: PersistentVolume
metadata: { name: disk }
spec:
  capacity: { storage: 1Gi }
  accessModes: [ReadWriteMany]
  storageClassName: ''
  hostPath: { path: ${path} }
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: checkpoints }
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ''
  volumeName: disk
  resources: { requests: { storage: 1Gi } }
`;

it('a run trains in pods with one GPU each, is evaluated, completes, and is deleted with its checkpoints', async () => {
  const run = parse(TINY);
  run.spec.podTemplate = { volumes: CHECKOUT_VOLUMES };
  Object.assign(run.spec.checkpoints, {
    storage: { volumeClaimName: 'checkpoints' },
    retain: false,
  });
  // The trainers hold all GPUs: linear probes beside them must do without.
  const resources = { limits: { 'nvidia.com/gpu': 0 } };
  run.spec.evaluation = { ...run.spec.evaluation, everySamples: 1000, resources };
  await cluster.apply(stringify(run));
  const status = async () => {
    const json = await kubectl('get', 'gimrun', 'tiny', '-o=json');
    return JSON.parse(json).status ?? {};
  };
  const phases = new Set<string>();
  const end = Date.now() + 420_000;
  let last = await status();
  while (last.phase !== 'Complete' && last.phase !== 'Failed' && Date.now() < end) {
    if (last.phase) phases.add(last.phase);
    await new Promise((done) => setTimeout(done, 500));
    last = await status();
  }
  const told = `${JSON.stringify(last, null, 1)}\n${await kubectl('describe', 'pods')}`.slice(
    -6000,
  );
  expect(last.phase, `${told}\n${operator.output().slice(-2000)}`).toBe('Complete');
  expect([...phases]).toEqual(expect.arrayContaining(['Training', 'Evaluating']));
  for (const module of last.modules) {
    expect(module).toMatchObject({ phase: 'Complete', samples: 8000, percent: 100 });
    expect(module.loss).toBeLessThan(2.83);
    expect(module.accuracy).toBeGreaterThan(0.12); // Chance is 0.1.
    expect(module.accuracyUntrained).toBeGreaterThan(0);
  }
  expect(last.conditions).toContainEqual(
    expect.objectContaining({
      type: 'Evaluated',
      status: 'True',
      message: expect.stringContaining('probe accuracy after 8000 samples: one '),
    }),
  );
  const jobs = JSON.parse(await kubectl('get', 'jobs', '-o=json')).items;
  const evaluations = jobs.filter(({ metadata }: Job) => metadata.name.includes('--evaluation-'));
  const trainers = jobs.filter(({ metadata }: Job) => /^tiny-[a-z]+$/.test(metadata.name));
  expect(evaluations.map(({ metadata }: Job) => metadata.name)).toContain('tiny--evaluation-end');
  expect(trainers).toHaveLength(3);
  for (const job of trainers) {
    const [container] = job.spec.template.spec.containers;
    expect(container.resources.limits['nvidia.com/gpu']).toBe('1');
    expect(job.status.succeeded).toBe(1);
  }
  const events = await kubectl(
    'get',
    'events',
    '--field-selector=involvedObject.kind=GreedyInfoMaxRun',
  );
  for (const reason of ['EvaluationStarted', 'Evaluated', 'AllModulesComplete']) {
    expect(events).toContain(reason);
  }
  expect(events).toMatch(/evaluates all modules after [1-7]000 samples/);

  await kubectl('delete', 'jobs,pods', '--all', '--wait');
  expect(await status()).toMatchObject({ phase: 'Complete', modules: last.modules });
  const kept = () => readdirSync(join(disk, 'tiny'));
  expect(kept()).toEqual(expect.arrayContaining(['one', 'two', 'three']));

  await kubectl('delete', 'gimrun', 'tiny', '--wait');
  // The clean-up Job starts once the run and its trainers are gone.
  await expect.poll(() => readdirSync(disk), { timeout: 240_000 }).toEqual([]);
}, 540_000);

it('a module gets more trainers, none, and one again while its run trains', async () => {
  const run = parse(TINY);
  run.metadata.name = 'scaled';
  run.spec.podTemplate = { volumes: CHECKOUT_VOLUMES };
  run.spec.resources = { limits: { 'nvidia.com/gpu': 0 } };
  run.spec.training.samples = 10_000_000; // Trains until the test is over.
  run.spec.averaging = { everySteps: 20 };
  Object.assign(run.spec.checkpoints, {
    storage: { volumeClaimName: 'checkpoints' },
    retain: false,
  });
  await cluster.apply(stringify(run));
  const read = async (...args: string[]) => JSON.parse(await kubectl('get', ...args, '-o=json'));
  const two = async () => {
    const modules = (await read('gimrun', 'scaled')).status?.modules ?? [];
    return modules.find(({ name }: { name: string }) => name === 'two') ?? {};
  };
  const reaches = async (wanted: object) => {
    const last = async () => ({ ...(await two()), operator: operator.output().slice(-1000) });
    await expect
      .poll(last, { timeout: 120_000, interval: 500 })
      .toMatchObject({ ...wanted, operator: expect.anything() });
    return two();
  };
  const scale = (replicas: number) =>
    kubectl('scale', 'gimmod/scaled-two', `--replicas=${replicas}`);
  const trainedBeyond = (samples: number) =>
    expect
      .poll(async () => (await two()).samples ?? 0, { timeout: 120_000, interval: 500 })
      .toBeGreaterThan(samples);
  const logOf = async (replica: number) => {
    const selector = `-l=batch.kubernetes.io/job-name=scaled-two,batch.kubernetes.io/job-completion-index=${replica}`;
    return kubectl('logs', selector, '--tail=-1');
  };

  await reaches({ phase: 'Training', readyReplicas: 1 });
  await trainedBeyond(0);

  await scale(2);
  await reaches({ replicas: 2, readyReplicas: 2 });
  const folder = join(disk, 'scaled', 'two');
  const begun = () => readdirSync(folder, { recursive: true }).map(String);
  await expect
    .poll(() => begun().filter((file) => file.endsWith('history.jsonl')), { timeout: 120_000 })
    .toHaveLength(2);
  expect(await logOf(1)).toContain('continuing from the weights of a peer');

  await scale(0);
  const { samples } = await reaches({ replicas: 0, readyReplicas: 0 });
  expect(samples).toBeGreaterThan(0);
  await expect
    .poll(async () => (await read('pods', '-l=greedyinfomax.dev/module=two')).items, {
      timeout: 240_000,
    })
    .toEqual([]);

  await scale(1);
  await reaches({ phase: 'Training', replicas: 1, readyReplicas: 1 });
  await trainedBeyond(samples);
  expect(await logOf(0)).toContain('continuing from a checkpoint');
  expect((await read('gimrun', 'scaled')).status.phase).toBe('Training');

  await kubectl('delete', 'gimrun', 'scaled', '--wait');
  // The clean-up Job starts once the run and its trainers are gone.
  await expect.poll(() => readdirSync(disk), { timeout: 240_000 }).toEqual([]);
}, 540_000);

it('a run without a volume keeps its checkpoints in NATS, where its linear probes find them', async () => {
  const run = parse(TINY);
  run.metadata.name = 'stored';
  run.spec.podTemplate = { volumes: CHECKOUT_VOLUMES };
  run.spec.resources = { limits: { 'nvidia.com/gpu': 0 } };
  run.spec.checkpoints.storage = { objectStore: {} };
  await cluster.apply(stringify(run));
  const connection = await connect({ servers: nats.url });
  const buckets = async () => {
    const names: string[] = [];
    for await (const { config } of (await jetstreamManager(connection)).streams.list()) {
      if (config.name.startsWith('OBJ_')) names.push(config.name);
    }
    return names;
  };
  const phase = async () =>
    JSON.parse(await kubectl('get', 'gimrun', 'stored', '-o=json')).status?.phase;
  await expect.poll(phase, { timeout: 300_000, interval: 500 }).toBe('Complete');
  const { status } = JSON.parse(await kubectl('get', 'gimrun', 'stored', '-o=json'));
  for (const module of status.modules) expect(module.accuracy).toBeGreaterThan(0.12); // Chance is 0.1.
  expect(await buckets()).toEqual([expect.stringContaining('OBJ_gim_default_stored_')]);
  await kubectl('delete', 'gimrun', 'stored', '--wait');
  await expect.poll(buckets, { timeout: 120_000 }).toEqual([]);
  await connection.close();
}, 400_000);
