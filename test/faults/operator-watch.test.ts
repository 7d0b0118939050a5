import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { JOBS } from '../../operator/src/kube/resource.ts';
import { CLUSTER_TIMEOUT } from '../support/cluster.ts';
import type { Proxied, ProxyFault } from '../support/fault-proxy.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { aRun, eventually, openScene, type Scene } from './scene.ts';

/**
 * Breaks the connection between operator and API server in every way; runs applied meanwhile get
 * all objects.
 */

/** Kinds watched by the operator. */
const WATCHES = 6;

let scene: Scene;
let operator: OperatorProcess;
beforeAll(async () => {
  scene = await openScene();
  operator = await scene.operator();
  await eventually('the watches', async () => scene.proxy.watches === WATCHES, { operator });
}, CLUSTER_TIMEOUT);
afterEach(() => {
  scene.proxy.fault = () => undefined;
});
afterAll(async () => {
  await scene?.close();
});

const start = (name: string) => scene.create(aRun(name));
/** Waits until both Jobs exist and the status describes this generation of the spec. */
const isUp = async (name: string): Promise<boolean> => {
  const run = await scene.run(name);
  const jobs = await scene.list(JOBS, name);
  const { phase, observedGeneration, modules } = run?.status ?? {};
  return (
    jobs.length === 2 &&
    phase === 'Pending' &&
    modules?.length === 2 &&
    observedGeneration === run?.metadata.generation
  );
};
const comesUp = (name: string) =>
  eventually(`Jobs and status of ${name}`, () => isUp(name), { operator });

/** Applies `fault` to the first `times` requests that `match`; returns how many it affected. */
function faults(
  times: number,
  fault: ProxyFault,
  match: (request: Proxied) => boolean,
): () => number {
  let met = 0;
  scene.proxy.fault = (request) => (match(request) && met < times && ++met ? fault : undefined);
  return () => met;
}
const isStatus = ({ path, isWrite }: Proxied) => isWrite && path.endsWith('/status');

const FAILURES: [string, ProxyFault][] = [
  ['429, to come back in a second', { status: 429, headers: { 'retry-after': '1' } }],
  ['500', { status: 500 }],
  ['a closed connection', 'drop'],
  ['a page that is no JSON', 'garbage'],
  ['half an answer', 'truncate'],
];
const failure = (n: number) => FAILURES[n % FAILURES.length]?.[1] as ProxyFault;

it('lists that fail twice, in different ways, are retried', async () => {
  const gone = new Set<string>();
  const lists = new Map<string, ProxyFault[]>();
  scene.proxy.fault = ({ method, path, isWatch }) => {
    if (method !== 'GET' || path.includes('/namespaces/')) return undefined;
    if (isWatch) {
      if (gone.has(path)) return undefined;
      gone.add(path);
      return { status: 410 };
    }
    const ahead = lists.get(path) ?? [0, 1].map((n) => failure(lists.size + n));
    lists.set(path, ahead);
    return ahead.shift();
  };
  scene.proxy.dropWatches();
  await start('lists');
  await eventually(
    'failures of every kind of list',
    async () => gone.size === WATCHES && [...gone].every((path) => lists.get(path)?.length === 0),
    { operator },
  );
  await eventually('the watches', async () => scene.proxy.watches === WATCHES, { operator });
  await comesUp('lists');
});

it('broken watches are resumed without losing events in between', async () => {
  const met = faults(WATCHES, { status: 503 }, ({ isWatch }) => isWatch);
  scene.proxy.dropWatches();
  await start('dropped');
  await comesUp('dropped');
  expect(met()).toBe(WATCHES);
  await eventually('the watches', async () => scene.proxy.watches === WATCHES);
});

it('silent watches are closed, even while their connection stands', async () => {
  scene.proxy.muteWatches();
  await start('muted');
  await comesUp('muted');
});

it.each<[string, ProxyFault]>([
  ['answered 410', { status: 410 }],
  ['that begin with the event 410', 'goneEvent'],
])('watches %s make a new list', async (name, fault) => {
  const run = `gone-${name.length}`;
  const met = faults(WATCHES, fault, ({ isWatch }) => isWatch);
  scene.proxy.dropWatches();
  await start(run);
  await comesUp(run);
  expect(met()).toBe(WATCHES);
});

it.each<[string, ProxyFault]>([
  ...FAILURES,
  ['409, as another wrote at the same moment', { status: 409 }],
])('writes that meet %s are made again', async (name, fault) => {
  const run = `writes-${name.length}`;
  const met = faults(8, fault, ({ isWrite }) => isWrite);
  await start(run);
  await comesUp(run);
  expect(met()).toBe(8);
});

it('a write whose response is lost is not repeated', async () => {
  faults(Number.POSITIVE_INFINITY, 'loseAnswer', ({ method, path }) => {
    return method === 'PATCH' && path.includes('/jobs/lost-');
  });
  await start('lost');
  await eventually('a Job', async () => (await scene.list(JOBS, 'lost')).length > 0, { operator });
  const uids = async () => (await scene.list(JOBS, 'lost')).map(({ metadata }) => metadata.uid);
  const made = await uids();
  scene.proxy.fault = () => undefined;
  await comesUp('lost');
  expect(await uids()).toEqual(expect.arrayContaining(made));
});

it('a conflict on every status write delays only the status', async () => {
  const met = faults(Number.POSITIVE_INFINITY, { status: 409 }, isStatus);
  await start('conflict');
  await eventually('the Jobs', async () => (await scene.list(JOBS, 'conflict')).length === 2, {
    operator,
  });
  await eventually('several attempts', async () => met() > 8, { operator });
  expect((await scene.run('conflict'))?.status?.phase).toBeUndefined();
  scene.proxy.fault = () => undefined;
  await comesUp('conflict');
});

it('the operator process is still the one that was started', () => {
  expect(operator.child.exitCode).toBeNull();
});
