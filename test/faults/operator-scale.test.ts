import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  CONFIG_MAPS,
  JOBS,
  MODULES,
  pathOf,
  RUNS,
  SECRETS,
} from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import { inParallel } from '../support/in-parallel.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { randomOf } from './random.ts';
import { aRun, eventually, NAMESPACE, openScene, type Scene } from './scene.ts';

/**
 * Creates and deletes many runs at once. NATS requires credentials, so each run also has a Secret.
 */

const MANY = 200;

// Only a hanging operator exceeds these: a deletion of all runs takes minutes on a slow disk.
const HANGS = 600_000;
vi.setConfig({ testTimeout: 2 * HANGS });

let scene: Scene;
let operator: OperatorProcess;
beforeAll(async () => {
  scene = await openScene({ closedNats: true });
  operator = await scene.operator();
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await scene?.close();
});

const count = async () => ({
  modules: (await scene.list(MODULES)).length,
  jobs: (await scene.list(JOBS)).length,
  configMaps: (await scene.list(CONFIG_MAPS)).length,
  secrets: (await scene.list(SECRETS)).length,
  edges: (await scene.streams()).filter((name) => name.endsWith('_first')).length,
});
/** Runs and all objects that belong to runs. */
async function left(): Promise<string[]> {
  const runs = (await scene.client.list(RUNS, NAMESPACE)).items;
  const names = runs.map(({ metadata }) => `run ${metadata.name}`);
  return [...names, ...(await scene.left()), ...(await scene.streams())];
}
const nothingIsLeft = () => expect.poll(left, { timeout: HANGS, interval: 1000 }).toEqual([]);
const writes = () => scene.proxy.passed.filter(({ isWrite }) => isWrite).length;

it(`${MANY} runs created at once all get their objects`, async () => {
  const start = performance.now();
  // With more requests at a time some would time out where the API server's disk is slow.
  await inParallel(20, MANY, (i) => scene.create(aRun(`many-${i}`)));
  const all = {
    modules: 2 * MANY,
    jobs: 2 * MANY,
    configMaps: 2 * MANY,
    secrets: MANY,
    edges: MANY,
  };
  await expect.poll(count, { timeout: HANGS, interval: 1000 }).toEqual(all);
  const took = (performance.now() - start) / 1000;
  console.log(`${MANY} runs had all their objects after ${took.toFixed(1)} s`);
  const jobs = await scene.list(JOBS);
  expect(new Set(jobs.map(({ metadata }) => metadata.labels?.['greedyinfomax.dev/run'])).size).toBe(
    MANY,
  );
});

it('nothing more is written once all pods wait for a node', async () => {
  await eventually(
    'what every run says of itself',
    async () => {
      const runs = (await scene.client.list(RUNS, NAMESPACE)).items;
      return runs.every(({ status }) =>
        status?.modules?.every(({ reason }) => reason === 'Unschedulable'),
      );
    },
    { operator },
  );
  await eventually(
    'three seconds without a write',
    async () => {
      const before = writes();
      await wait(3000);
      return writes() === before;
    },
    { operator },
  );
});

it('runs deleted all at once leave nothing', async () => {
  await scene.client.call('DELETE', pathOf(RUNS, NAMESPACE));
  await nothingIsLeft();
});

it('runs deleted while they are being created leave nothing', async () => {
  const random = randomOf(3);
  for (let i = 0; i < 20; i += 1) {
    const name = `short-${i}`;
    await scene.create(aRun(name));
    await wait(random(300));
    await scene.deleteRun(name);
  }
  await nothingIsLeft();
  await wait(3000);
  expect(await left()).toEqual([]);
  // Streams were deleted with their runs: the sweep found none.
  expect(operator.output()).not.toContain('that runs have left behind');
});
