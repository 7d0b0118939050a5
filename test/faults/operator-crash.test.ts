import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MODULES, PODS, RUNS } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { watchWhatIsMade } from './made.ts';
import { randomOf } from './random.ts';
import { aRun, eventually, NAMESPACE, openScene, type Scene } from './scene.ts';
import { snapshot } from './snapshot.ts';

/** Kills the operator repeatedly while it works; the resulting objects must be the same. */

const NAMES = ['one', 'two', 'three', 'four', 'five'];

interface Round {
  runs: string;
  edit: (run: string) => Promise<unknown>;
  /** Expected numbers of runs, modules, Jobs, ConfigMaps and pods for each run at the end. */
  objects: number;
  /** Number of kills while the operator carries out the edits of all runs. */
  kills: number;
  /** Maximum number of writes in one life of the operator. */
  longest: number;
}
const change = (run: string, spec: object) =>
  scene.client.patch(RUNS, NAMESPACE, run, 'merge', { spec });
const scale = (run: string, replicas: number) =>
  scene.client.patch(MODULES, NAMESPACE, `${run}-first`, 'merge', { spec: { replicas } });
const ROUNDS: Round[] = [
  { runs: 'created', edit: (run) => scene.create(aRun(run)), objects: 9, kills: 16, longest: 6 },
  {
    runs: 'suspended',
    edit: (run) => change(run, { suspend: true }),
    objects: 7,
    kills: 11,
    longest: 3,
  },
  {
    runs: 'resumed',
    edit: (run) => change(run, { suspend: false }),
    objects: 9,
    kills: 11,
    longest: 3,
  },
  { runs: 'scaled', edit: (run) => scale(run, 2), objects: 10, kills: 8, longest: 2 },
  { runs: 'deleted', edit: (run) => scene.deleteRun(run), objects: 0, kills: 4, longest: 1 },
];

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await scene?.close();
});

/** Expected state after each round, as an undisturbed operator leaves it. */
const undisturbed: string[][] = [];

it('an undisturbed operator takes five runs through their life cycle', async () => {
  const operator = await scene.operator();
  for (const { runs, edit, objects } of ROUNDS) {
    await Promise.all(NAMES.map(edit));
    const rest = await eventually(`runs ${runs}`, () => atRest(NAMES.length * objects), {
      seconds: 90,
      operator,
    });
    undisturbed.push(rest);
  }
  await operator.stop();
});

it('an operator killed 50 times creates the same objects, and none twice', async () => {
  const made = await watchWhatIsMade(scene);
  const random = randomOf(7);
  let kills = 0;
  let midway = 0;
  let operator = await scene.operator();
  for (const [i, round] of ROUNDS.entries()) {
    await Promise.all(NAMES.map(round.edit));
    for (let kill = 0; kill < round.kills; kill++) {
      if (await killAt(operator, 1 + random(round.longest), random)) midway++;
      kills++;
      await scene.freeLease();
      operator = await scene.operator();
    }
    await expect
      .poll(() => snapshot(scene), {
        timeout: 90_000,
        interval: 500,
        message: `runs ${round.runs}`,
      })
      .toEqual(undisturbed[i]);
  }
  console.log(`${midway} of ${kills} kills met the operator at work`);
  expect(kills).toBe(50);
  expect(midway).toBeGreaterThan(25);
  const once = NAMES.flatMap((run) => [
    `stream GIM_${NAMESPACE}_${run}_first`,
    ...['GreedyInfoMaxModule', 'Job', 'ConfigMap'].flatMap((kind) =>
      ['first', 'second'].map((module) => `${kind} of ${run}-${module}`),
    ),
  ]);
  const counts = await made.end();
  expect(Object.keys(counts)).toEqual(expect.arrayContaining(once));
  expect(Object.entries(counts).filter(([, times]) => times > 1)).toEqual([]);
}, 600_000);

/** Returns all objects once there are as many as expected and no work is left. */
async function atRest(objects: number): Promise<string[] | undefined> {
  const before = await snapshot(scene);
  const onNats = before.filter((line) => /^\{"is":"(stream|consumer)"/.test(line));
  if (before.length - onNats.length !== objects) return undefined;
  const pods = await scene.list(PODS);
  const isSeen = pods.every(({ status }) =>
    status?.conditions?.some(({ type }) => type === 'PodScheduled'),
  );
  await wait(3000);
  return isSeen && isDeepStrictEqual(await snapshot(scene), before) ? before : undefined;
}

/** Milliseconds without a write after which an idle operator is killed. */
const QUIET = 1500;

/**
 * Kills the operator at its `nth` write from now: before or after the API server has carried it
 * out, or some milliseconds later, during the next write. Returns false if the operator made fewer
 * writes.
 */
async function killAt(
  { child, kill, output }: OperatorProcess,
  nth: number,
  random: (below: number) => number,
): Promise<boolean> {
  const fault = ([undefined, 'drop', 'loseAnswer'] as const)[random(3)];
  const later = random(30);
  let writes = 0;
  let quietSince = Date.now();
  scene.proxy.fault = ({ isWrite }) => {
    if (!isWrite) return undefined;
    quietSince = Date.now();
    writes++;
    if (writes !== nth) return undefined;
    if (fault === undefined) setTimeout(() => child.kill('SIGKILL'), later);
    else child.kill('SIGKILL');
    return fault;
  };
  while (child.signalCode === null && child.exitCode === null && Date.now() - quietSince < QUIET) {
    await wait(20);
    if (!output().includes('"leading"')) quietSince = Date.now();
  }
  await kill();
  scene.proxy.fault = () => undefined;
  return writes >= nth;
}
