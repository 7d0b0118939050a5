import pino from 'pino';
import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import { NAMESPACES_ANNOTATION, Neighbours } from './neighbours.ts';
import type { LeaseObject } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';
import { TestClock } from './testing/clock.ts';

const LEASES = '/apis/coordination.k8s.io/v1/leases';
const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

/** Returns the lease of an operator in `namespace`; `*` means that it watches all namespaces. */
const lease = (namespace: string, { acquired = 1, watches = '*', holder = 'pod_1' } = {}) =>
  ({
    metadata: {
      name: 'operator',
      namespace,
      annotations: { [NAMESPACES_ANNOTATION]: watches },
    },
    spec: { holderIdentity: holder, acquireTime: `2030-01-01T00:00:0${acquired}.000000Z` },
  }) satisfies LeaseObject;

async function open(watched?: readonly string[]) {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  const client = new Client(server.access);
  cleanUp.push(() => client.close());
  const clock = new TestClock();
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const options = { name: 'operator', namespace: 'own', watched, log, clock, wait: clock.wait };
  const neighbours = new Neighbours(client, options);
  const stop = new AbortController();
  /** Reports whether a promise settles within `seconds`, advancing the clock in steps of 2 s. */
  async function within(seconds: number, promise: Promise<unknown>): Promise<boolean> {
    let isDone = false;
    void promise.then(() => {
      isDone = true;
    });
    for (let i = 0; i < seconds; i += 2) {
      await expect.poll(() => isDone || clock.pending > 0, { interval: 1 }).toBe(true);
      if (isDone) return true;
      clock.advance(2000);
    }
    await expect.poll(() => isDone || clock.pending > 0, { interval: 1 }).toBe(true);
    return isDone;
  }
  cleanUp.push(async () => stop.abort());
  return { server, neighbours, clock, lines, stop, within };
}

it('waits for an operator of all namespaces until its lease stays unchanged for 30 s', async () => {
  const { server, neighbours, lines, stop, within } = await open();
  server.put(LEASES, lease('other'));
  const alone = neighbours.whenAlone(stop.signal);
  expect(await within(20, alone)).toBe(false);
  expect(neighbours.conflict).toContain('the operator in namespace other (pod pod) acts on all');
  server.put(LEASES, { ...lease('other'), spec: { holderIdentity: 'pod_2' } });
  expect(await within(28, alone)).toBe(false);
  expect(await within(6, alone)).toBe(true);
  expect(neighbours.conflict).toBeUndefined();
  expect(lines).toHaveLength(1);
});

it.each([
  ['its own lease', lease('own')],
  ['a lease that was freed before', lease('other', { holder: '' })],
  ['an operator of single namespaces', lease('other', { watches: 'a,b' })],
])('does not wait for %s', async (_, there) => {
  const { server, neighbours, stop, within } = await open();
  server.put(LEASES, there);
  expect(await within(0, neighbours.whenAlone(stop.signal))).toBe(true);
});

it('is patient with a lease that is freed while it waits, as in an upgrade of the other', async () => {
  const { server, neighbours, stop, within } = await open();
  server.put(LEASES, lease('other'));
  const alone = neighbours.whenAlone(stop.signal);
  await within(4, alone);
  server.put(LEASES, lease('other', { holder: '' }));
  expect(await within(20, alone)).toBe(false);
});

it('leaves the namespaces of operators of single ones alone, as long as these live', async () => {
  const { server, neighbours, stop, within } = await open();
  server.put(LEASES, lease('other', { watches: 'a,b' }));
  const leading = neighbours.untilConflict(lease('own'), stop.signal);
  await within(2, leading);
  expect(['a', 'b', 'c'].filter((each) => neighbours.leavesAlone(each))).toEqual(['a', 'b']);
  await within(32, leading);
  expect(neighbours.leavesAlone('a')).toBe(false);
});

it('of two that lead, the one that began later gives way', async () => {
  for (const [acquired, givesWay] of [
    [2, false],
    [0, true],
  ] as const) {
    const { server, neighbours, stop, within } = await open();
    server.put(LEASES, lease('other', { acquired }));
    const leading = neighbours.untilConflict(lease('own', { acquired: 1 }), stop.signal);
    expect(await within(4, leading)).toBe(givesWay);
  }
});

it('goes on without the right to list Leases, and says so once', async () => {
  const { server, neighbours, lines, stop, within } = await open();
  server.put(LEASES, lease('other'));
  server.fail({ status: 403 }, () => true, 10);
  expect(await within(0, neighbours.whenAlone(stop.signal))).toBe(true);
  expect(await neighbours.untilConflict(lease('own'), stop.signal)).toBeUndefined();
  expect(lines).toHaveLength(1);
  const { neighbours: single, within: soon, server: other } = await open(['a']);
  expect(await soon(0, single.whenAlone(stop.signal))).toBe(true);
  expect(other.seen).toEqual([]);
});
