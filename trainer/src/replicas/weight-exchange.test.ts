import { stateStream, stateSubjects, weightsSubject } from '@greedy-infomax/crds';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { deleteStreams, ensureStreams } from '../../../operator/src/nats/streams.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { encodeParts, joinParts, partsOf } from './snapshot.ts';
import { LIVE, WeightExchange } from './weight-exchange.ts';

let nats: TestNats;
let connection: NatsConnection;
let counter = 0;
const run = { namespace: 'local', name: 'exchange', uid: 'u' };
const STATE = {
  name: stateStream(run),
  subjects: stateSubjects(run),
  maxBytes: 64_000_000,
  maxMessageBytes: 1_048_576,
};

beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  await ensureStreams(connection, [STATE]);
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});

/** Returns exchanges of the trainers of a new module. */
function trainers(count: number, weights: number): WeightExchange[] {
  const module = `m${counter++}`;
  return Array.from(
    { length: count },
    (_, replica) => new WeightExchange(connection, { run, module, replica, weights }),
  );
}

const filled = (length: number, value: number) => new Float32Array(length).fill(value);

describe('a weight exchange', () => {
  it.each([1, 258_000, 600_000])('carries %i weights whole, once', async (length) => {
    const [one, two] = trainers(2, length) as [WeightExchange, WeightExchange];
    const weights = Float32Array.from({ length }, (_, i) => i / 7);
    await one.publish(5, weights);
    const [snapshot] = await two.fresh(2);
    expect(snapshot?.step).toBe(5);
    expect(snapshot?.weights).toEqual(weights);
    expect(await two.fresh(2)).toEqual([]);
    await one.publish(6, weights);
    expect((await two.fresh(2)).map(({ step }) => step)).toEqual([6]);
  });

  it('returns the newest weights of every peer, not its own', async () => {
    const [one, two, three] = trainers(3, 10) as [WeightExchange, WeightExchange, WeightExchange];
    await one.publish(1, filled(10, 1));
    await one.publish(2, filled(10, 2));
    await two.publish(3, filled(10, 3));
    await three.publish(4, filled(10, 4));
    const found = await three.fresh(3);
    expect(found.map(({ weights }) => weights[0])).toEqual([2, 3]);
    expect(await one.fresh(2)).toHaveLength(1);
  });

  it('continues with a new stream that counts from 1 again', async () => {
    const [one, two] = trainers(2, 10) as [WeightExchange, WeightExchange];
    for (const step of [1, 2, 3]) await one.publish(step, filled(10, step));
    expect(await two.fresh(2)).toMatchObject([{ step: 3 }]);
    await deleteStreams(connection, [STATE]);
    await ensureStreams(connection, [STATE]);
    await one.publish(4, filled(10, 4));
    await two.publish(4, filled(10, 4));
    expect(await two.fresh(2)).toMatchObject([{ step: 4 }]);
  });

  it('leaves out weights of trainers that are gone', async () => {
    const [one, two] = trainers(2, 10) as [WeightExchange, WeightExchange];
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - LIVE - 1000 });
    await one.publish(1, filled(10, 1));
    vi.useRealTimers();
    expect(await two.fresh(2)).toEqual([]);
    expect(await two.fresh(2, 2 * LIVE)).toHaveLength(1); // for a reader that is as slow itself
  });

  it('leaves out weights of another shape, and invalid messages', async () => {
    const [one] = trainers(1, 11) as [WeightExchange];
    const module = `m${counter - 1}`;
    const two = new WeightExchange(connection, { run, module, replica: 1, weights: 10 });
    await one.publish(1, filled(11, 1));
    expect(await two.fresh(2)).toEqual([]);
    connection.publish(weightsSubject(run, module, 0, 0), 'nothing of the kind');
    await connection.flush();
    expect(await two.fresh(2)).toEqual([]);
  });

  it('keeps one snapshot of a trainer in the stream', async () => {
    const [one] = trainers(1, 600_000) as [WeightExchange];
    const module = `m${counter - 1}`;
    for (let step = 0; step < 5; step += 1) await one.publish(step, filled(600_000, step));
    const manager = await jetstreamManager(connection);
    const info = await manager.streams.info(stateStream(run), {
      subjects_filter: weightsSubject(run, module, 0, 0).replace(/0$/, '*'),
    });
    expect(Object.values(info.state.subjects ?? {})).toEqual(Array(partsOf(600_000)).fill(1));
  });
});

describe('parts', () => {
  const snapshot = (madeAt: number) => ({
    author: 1,
    step: 2,
    madeAt,
    weights: filled(600_000, madeAt),
  });

  it('of two snapshots are not joined', () => {
    const [older, newer] = [encodeParts(snapshot(1)), encodeParts(snapshot(2))];
    const mixed = [newer[0], ...older.slice(1)] as Uint8Array[];
    expect(joinParts(mixed, 600_000)).toBeNull();
    expect(joinParts(newer, 600_000)).toEqual(snapshot(2));
    expect(joinParts(newer.toReversed(), 600_000)).toBeNull();
  });

  it('with a NaN weight are not joined, so that it affects one trainer only', () => {
    const weights = filled(10, 1);
    weights[3] = Number.NaN;
    expect(joinParts(encodeParts({ ...snapshot(1), weights }), 10)).toBeNull();
  });
});
