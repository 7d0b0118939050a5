import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Client } from '../kube/client.ts';
import { MODULES, pathOf, RUNS } from '../kube/resource.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { noNats } from '../nats/testing/tenants.ts';
import { aRun, OPTIONS } from '../plan/kubernetes/testing/builders.ts';
import { Controller } from './controller.ts';
import { Metrics } from './metrics.ts';

/** Tests the whole operator against an API server, without NATS. */

const NAMESPACE = 'team';
const JOBS = `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`;
const RUNS_PATH = pathOf(RUNS, NAMESPACE);

let server: TestApiServer;
let client: Client;
let stop: () => Promise<void>;

beforeEach(async () => {
  server = await TestApiServer.open();
  client = new Client(server.access);
  stop = start();
});
afterEach(async () => {
  await stop();
  await client.close();
  await server.close();
});

let controller: Controller;

function start(): () => Promise<void> {
  controller = new Controller({
    client,
    namespaces: [NAMESPACE],
    plan: OPTIONS,
    nats: noNats(),
    concurrency: 4,
    identity: 'test',
    log: pino({ level: 'silent' }),
    metrics: new Metrics(),
  });
  const abort = new AbortController();
  const over = [controller.watch(abort.signal), controller.lead('us', abort.signal)];
  return async () => {
    abort.abort();
    await Promise.all(over);
  };
}

/** Returns the paths of writes, in order. */
const writes = () => server.seen.filter(({ method }) => method !== 'GET').map(({ path }) => path);

/** Resolves when no request has arrived for a while. */
async function rest(): Promise<void> {
  for (let before = -1; before !== server.seen.length; ) {
    before = server.seen.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

it('makes a run with one write for each thing there is to say', async () => {
  server.put(RUNS_PATH, aRun() as never);
  await expect.poll(() => server.all(JOBS)).toHaveLength(2);
  await rest();
  const count = (end: RegExp) => writes().filter((path) => end.test(path)).length;
  expect({
    modules: count(/modules\/[^/]+$/),
    configMaps: count(/configmaps\/[^/]+$/),
    jobs: count(/jobs\/[^/]+$/),
    moduleStatus: count(/modules\/[^/]+\/status$/),
    status: count(/runs\/[^/]+\/status$/),
    events: count(/events$/),
  }).toEqual({
    modules: 2,
    configMaps: 2,
    jobs: 2,
    moduleStatus: 2,
    status: 1,
    events: 0,
  });
});

it('makes the Jobs of all runs that came at once before it says so of any', async () => {
  const runs = Array.from({ length: 20 }, (_, i) => `run-${i}`);
  for (const name of runs) {
    server.put(RUNS_PATH, aRun({}, { metadata: { name, uid: name } }) as never);
  }
  await expect.poll(() => server.all(JOBS)).toHaveLength(2 * runs.length);
  await rest();
  const isStatus = (path: string) => /runs\/[^/]+\/status$/.test(path);
  expect(writes().filter(isStatus)).toHaveLength(runs.length);
  // A run does not defer its status once no other run is waiting.
  const jobs = writes()
    .slice(0, writes().findIndex(isStatus))
    .filter((path) => /jobs/.test(path));
  expect(jobs.length).toBeGreaterThan(runs.length);
  expect(writes().filter((path) => /jobs/.test(path))).toHaveLength(2 * runs.length);
});

it('writes nothing at rest, also after a restart', async () => {
  server.put(RUNS_PATH, aRun() as never);
  await expect.poll(() => server.all(JOBS)).toHaveLength(2);
  await rest();
  const before = writes();
  await stop();
  stop = start();
  await expect.poll(() => server.watches).toBe(6);
  await rest();
  expect(writes()).toEqual(before);
});

it('puts back what somebody else changed or deleted', async () => {
  server.put(RUNS_PATH, aRun() as never);
  await expect.poll(() => server.all(JOBS)).toHaveLength(2);
  await rest();
  const job = server.read(JOBS, 'small-first');
  server.put(JOBS, { ...job, spec: { ...(job?.spec as object), completions: 7 } } as never);
  await expect.poll(() => server.read(JOBS, 'small-first')?.spec).toMatchObject({ completions: 1 });
  await rest();
  server.remove(JOBS, 'small-second');
  await expect.poll(() => server.all(JOBS)).toHaveLength(2);
});

it('remembers nothing of 1,000 runs that were made and deleted', { timeout: 120_000 }, async () => {
  const KINDS = [JOBS, `/api/v1/namespaces/${NAMESPACE}/configmaps`, pathOf(MODULES, NAMESPACE)];
  // Deletes in groups, so that some runs are deleted while they are created, and some after.
  for (let group = 0; group < 10; group++) {
    const names = Array.from({ length: 100 }, (_, i) => `run-${group}-${i}`);
    for (const name of names) {
      server.put(RUNS_PATH, aRun({}, { metadata: { name, uid: name } }) as never);
    }
    const enough = group % 2 === 0 ? 20 : 200;
    await expect
      .poll(() => server.all(JOBS).length, { timeout: 30_000 })
      .toBeGreaterThan(enough - 1);
    for (const name of names) server.remove(RUNS_PATH, name);
    // Deletes as the garbage collector does, until no object is created anymore.
    await expect
      .poll(
        () => {
          const left = KINDS.flatMap((path) => server.all(path).map((each) => ({ path, each })));
          for (const { path, each } of left) server.remove(path, each.metadata.name);
          return left.length + controller.remembered;
        },
        { timeout: 30_000, interval: 100 },
      )
      .toBe(0);
  }
});
