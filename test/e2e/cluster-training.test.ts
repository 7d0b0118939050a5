import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
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

/** A run on a cluster from `kubectl apply` to its end: real pods, one (pretended) GPU each, that really train. */

const ROOT = resolve(import.meta.dirname, '../..');

let cluster: Cluster;
let nats: TestNats;
let operator: OperatorProcess;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

beforeAll(async () => {
  cluster = await startCluster({ nodes: 1, gpus: 3 });
  nats = await startNats(cluster.hostAddress);
  const definitions = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map(
    (name) => `--filename=${join(ROOT, 'crds', `${name}.yaml`)}`,
  );
  await kubectl('apply', ...definitions);
  await kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
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
}, 120_000);

it('a run trains in pods, one GPU each, and completes', async () => {
  const run = parse(TINY);
  run.spec.podTemplate = { volumes: CHECKOUT_VOLUMES };
  await cluster.apply(stringify(run));
  const status = async () => {
    const json = await kubectl('get', 'gimrun', 'tiny', '-o=json');
    return JSON.parse(json).status ?? {};
  };
  const phases = new Set<string>();
  const end = Date.now() + 240_000;
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
  expect([...phases]).toContain('Training');
  for (const module of last.modules) {
    expect(module).toMatchObject({ phase: 'Complete', samples: 8000, percent: 100 });
    expect(module.loss).toBeLessThan(2.83);
  }
  const jobs = JSON.parse(await kubectl('get', 'jobs', '-o=json')).items;
  expect(jobs).toHaveLength(3);
  for (const job of jobs) {
    const [container] = job.spec.template.spec.containers;
    expect(container.resources.limits['nvidia.com/gpu']).toBe('1');
    expect(job.status.succeeded).toBe(1);
  }
  const events = await kubectl(
    'get',
    'events',
    '--field-selector=involvedObject.kind=GreedyInfoMaxRun',
  );
  expect(events).toContain('Complete');
}, 300_000);
