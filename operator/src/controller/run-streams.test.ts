import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import type { RunObject } from '../kube/resource.ts';
import { TestClock } from '../kube/testing/clock.ts';
import type { NatsTenants } from '../nats/tenants.ts';
import { openNats } from '../nats/testing/tenants.ts';
import { aRun } from '../plan/kubernetes/testing/builders.ts';
import { planBucket } from '../plan/stream.ts';
import { RunStreams } from './run-streams.ts';

let nats: TestNats;
let connection: NatsConnection;
let tenants: NatsTenants;
let streams: RunStreams;
const clock = new TestClock();
beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  tenants = await openNats(nats.url);
  streams = new RunStreams({
    nats: tenants,
    operator: () => 'us',
    onLeft: () => {},
    log: pino({ level: 'silent' }),
    clock,
  });
});
afterAll(async () => {
  await tenants.close();
  await connection.close();
  await nats.stop();
});

const names = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const name of (await jetstreamManager(connection)).streams.names()) found.push(name);
  return found;
};

it.each([
  ['goes with the run', undefined, false, true],
  ['goes with the run, when that says so', false, false, true],
  ['stays when the run is only finished', false, true, true],
  ['outlives the run, when that says so', true, true, false],
])('the bucket of checkpoints %s', async (_, retain, stays, finishedOnly) => {
  const uid = `${retain}-${stays}`;
  const checkpoints = { everySeconds: 60, keep: 3, storage: { objectStore: {} }, retain };
  const deletionTimestamp = stays && finishedOnly ? undefined : '2026-01-01T00:00:00Z';
  const metadata = { uid, ...(deletionTimestamp && { deletionTimestamp }) };
  const run = aRun({ checkpoints }, { metadata } as never) as unknown as RunObject;
  const key = { namespace: run.metadata.namespace ?? '', name: run.metadata.name };
  const bucket = planBucket({ ...key, uid }, retain === true);
  expect(await streams.ensure(run, [bucket])).toBeUndefined();
  expect(await names()).toContain(bucket.name);
  await streams.delete(run);
  expect((await names()).includes(bucket.name)).toBe(stays);
});

it.each([
  ['after some seconds', () => clock.advance(10_000)],
  ['at once when they may be gone', () => streams.markUnverified('team')],
])('looks after streams that were good again %s', async (_, turn) => {
  const run = aRun({}, { metadata: { name: 'kept' } }) as unknown as RunObject;
  const bucket = planBucket({ namespace: 'team', name: 'kept', uid: 'run-1' }, false);
  const isThere = async () => (await names()).includes(bucket.name);
  await streams.ensure(run, [bucket]);
  await (await jetstreamManager(connection)).streams.delete(bucket.name);
  clock.advance(9999);
  expect(await streams.ensure(run, [bucket])).toBeUndefined();
  expect(await isThere()).toBe(false);
  turn();
  await streams.ensure(run, [bucket]);
  expect(await isThere()).toBe(true);
});

it('looks after other streams of the same run at once', async () => {
  const run = aRun({}, { metadata: { name: 'changed' } }) as unknown as RunObject;
  const of = (uid: string) => planBucket({ namespace: 'team', name: 'changed', uid }, false);
  await streams.ensure(run, [of('1')]);
  await streams.ensure(run, [of('2')]);
  expect(await names()).toEqual(expect.arrayContaining([of('1').name, of('2').name]));
});
