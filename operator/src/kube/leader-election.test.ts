import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import { Election } from './leader-election.ts';
import type { LeaseObject } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';
import { TestClock } from './testing/clock.ts';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/system/leases';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

async function open() {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  return {
    server,
    spec: () => (server.read(PATH, 'operator') as LeaseObject | undefined)?.spec,
    holder: () => (server.read(PATH, 'operator') as LeaseObject | undefined)?.spec?.holderIdentity,
  };
}

/** Creates a candidate with its own clock, whose timers fire `late` milliseconds after their time. */
function candidate(server: TestApiServer, identity: string, late = 0) {
  const clock = new TestClock();
  const client = new Client(server.access);
  const said: string[] = [];
  const election = new Election(client, {
    namespace: 'system',
    name: 'operator',
    identity,
    clock,
    wait: (milliseconds, signal) => clock.wait(milliseconds + late, signal),
    random: () => 0,
    onStarted: () => said.push('started'),
    onLost: () => said.push('lost'),
  });
  const abort = new AbortController();
  let isDone = false;
  const running = election.run(abort.signal).then(() => {
    isDone = true;
  });
  /** Resolves when the candidate waits for its next attempt, or has ended. */
  const idle = () =>
    expect.poll(() => isDone || clock.pending > 0, { interval: 1, timeout: 10_000 }).toBe(true);
  cleanUp.push(async () => {
    abort.abort();
    await running;
    await client.close();
  });
  return {
    clock,
    election,
    said,
    idle,
    isDone: () => isDone,
    async advance(seconds: number) {
      for (let i = 0; i < seconds; i++) {
        await idle();
        clock.advance(1000);
      }
      await idle();
    },
    /** Advances the clock by any fraction of a millisecond, and stops at each timer. */
    async advanceBy(milliseconds: number) {
      const end = clock.now() + milliseconds;
      while (clock.now() < end) {
        await idle();
        clock.advance(Math.min(end - clock.now(), clock.untilNext));
      }
      await idle();
    },
    async stop() {
      abort.abort();
      await running;
    },
  };
}

const FAULTS = ['drop', 'garbage', { status: 500 }, { status: 429 }] as const;
/**
 * Milliseconds for which the server may be unreachable: the deadline of 10 s, less the 2 s since the last
 * renewal and delays.
 */
const MAY_MISS = 7900;

it('keeps the lead through every absence of the API server shorter than the deadline, and renews after it', async () => {
  const absence = fc.record({
    after: fc.double({ min: 0, max: 5000, noNaN: true }),
    length: fc.double({ min: 3000, max: MAY_MISS, noNaN: true }),
    fault: fc.constantFrom(...FAULTS),
  });
  const absences = fc.array(absence, { minLength: 1, maxLength: 3 });
  const delay = fc.double({ min: 0, max: 20, noNaN: true });
  await fc.assert(
    fc.asyncProperty(absences, delay, async (each, late) => {
      const { server, spec } = await open();
      const a = candidate(server, 'a', late);
      await a.idle();
      for (const { after, length, fault } of each) {
        await a.advanceBy(after);
        let isAway = true;
        server.fail(fault, () => isAway, Number.POSITIVE_INFINITY);
        await a.advanceBy(length);
        isAway = false;
        const back = a.clock.date();
        await a.advanceBy(2000 + late); // the longest wait between two attempts
        expect(a.said).toEqual(['started']);
        expect(Date.parse(spec()?.renewTime ?? '')).toBeGreaterThanOrEqual(back.getTime());
        expect(a.election.isLeader).toBe(true);
      }
      await a.stop();
    }),
    { numRuns: 60, seed: 19 },
  );
}, 60_000);

it('takes a lease that nobody has, and renews it', async () => {
  const { server, spec } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  expect(a.said).toEqual(['started']);
  expect(a.election.isLeader).toBe(true);
  expect(spec()).toEqual({
    holderIdentity: 'a',
    leaseDurationSeconds: 15,
    acquireTime: '2030-01-01T00:00:00.000000Z',
    renewTime: '2030-01-01T00:00:00.000000Z',
    leaseTransitions: 0,
  });
  await a.advance(60);
  expect(a.said).toEqual(['started']);
  expect(spec()).toMatchObject({
    acquireTime: '2030-01-01T00:00:00.000000Z',
    renewTime: '2030-01-01T00:01:00.000000Z',
    leaseTransitions: 0,
  });
});

it('renews with one request', async () => {
  const { server } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  const before = server.seen.length;
  await a.advance(10);
  expect(server.seen.slice(before).map(({ method }) => method)).toEqual(Array(5).fill('PUT'));
});

it('lets one lead however many there are', async () => {
  const { server } = await open();
  const all = ['a', 'b', 'c'].map((identity) => candidate(server, identity));
  for (let i = 0; i < 30; i++) await Promise.all(all.map((each) => each.advance(1)));
  expect(all.flatMap(({ said }) => said)).toEqual(['started']);
  expect(all.filter(({ election }) => election.isLeader)).toHaveLength(1);
});

it('takes over when the lease ran out by its own clock, whatever dates the leader writes', async () => {
  const { server, spec } = await open();
  const a = candidate(server, 'a');
  a.clock.dateOffset = 3_600_000;
  await a.idle();
  // Its clock stops here, like that of a killed process.
  const b = candidate(server, 'b');
  await b.advance(14);
  expect(b.said).toEqual([]);
  await b.advance(2);
  expect(b.said).toEqual(['started']);
  expect(spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
});

it('does not take over from a leader whose dates lie in the past', async () => {
  const { server } = await open();
  const a = candidate(server, 'a');
  a.clock.dateOffset = -3_600_000;
  const b = candidate(server, 'b');
  await a.idle();
  for (let i = 0; i < 40; i++) {
    await a.advance(1);
    await b.advance(1);
  }
  expect(b.said).toEqual([]);
});

it('hands over at once when it ends cleanly', async () => {
  const { server, holder, spec } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  const b = candidate(server, 'b');
  await b.idle();
  await a.stop();
  expect(holder()).toBe('');
  expect(a.election.isLeader).toBe(false);
  await b.advance(2);
  expect(b.said).toEqual(['started']);
  expect(spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  expect(a.said).toEqual(['started']);
});

it('a candidate that ends leaves the lease alone', async () => {
  const { server, holder } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  const b = candidate(server, 'b');
  await b.idle();
  await b.stop();
  expect(holder()).toBe('a');
});

it('gives up when it cannot renew in time, before another can take over', async () => {
  const { server } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  server.fail({ status: 500 }, undefined, 1000);
  await a.advance(9);
  expect(a.said).toEqual(['started']);
  expect(a.election.isLeader).toBe(true);
  a.clock.advance(1000);
  expect(a.election.isLeader).toBe(false);
  await a.idle();
  expect(a.said).toEqual(['started', 'lost']);
  expect(a.isDone()).toBe(true);
});

it('survives a few renewals that fail', async () => {
  const { server } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  for (const fault of [{ status: 500 }, 'drop', { status: 429 }] as const) {
    server.fail(fault);
    await a.advance(4);
  }
  await a.advance(10);
  expect(a.said).toEqual(['started']);
});

it('gives up as soon as it sees that another leads', async () => {
  const { server } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  server.put(PATH, {
    metadata: { namespace: 'system', name: 'operator' },
    spec: { holderIdentity: 'b', leaseDurationSeconds: 15 },
  });
  await a.advance(2);
  expect(a.said).toEqual(['started', 'lost']);
});

it('goes on when somebody else edits the lease or deletes it', async () => {
  const { server, holder } = await open();
  const a = candidate(server, 'a');
  await a.idle();
  const lease = server.read(PATH, 'operator');
  server.put(PATH, { ...lease, metadata: { name: 'operator', labels: { x: 'y' } } });
  await a.advance(4);
  server.remove(PATH, 'operator');
  await a.advance(4);
  expect(holder()).toBe('a');
  expect(a.said).toEqual(['started']);
});

it('a step of the date changes nothing', async () => {
  const { server } = await open();
  const a = candidate(server, 'a');
  const b = candidate(server, 'b');
  await Promise.all([a.idle(), b.idle()]);
  const [leader, other] = a.election.isLeader ? [a, b] : [b, a];
  for (const step of [86_400_000, -86_400_000]) {
    leader.clock.dateOffset = step;
    other.clock.dateOffset = -step;
    for (let i = 0; i < 20; i++) {
      await leader.advance(1);
      await other.advance(1);
    }
  }
  expect(leader.said).toEqual(['started']);
  expect(other.said).toEqual([]);
});
