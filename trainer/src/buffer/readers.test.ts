import { CHUNK_BYTES, type Edge } from '@greedy-infomax/crds';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planStream } from '../../../operator/src/plan/stream.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { openSink, openSource, type Sink, type Source } from './edge.ts';

/** Edges with several producers and readers. */

let nats: TestNats;
let connection: NatsConnection;
let counter = 0;
const open = new Set<{ close(): Promise<void> }>();

beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
});
afterEach(async () => {
  await Promise.all([...open].map((end) => end.close()));
  open.clear();
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});

const BATCH = 6;
/** Mask of the bits of its id that a sample is filled with; such bytes are small floats. */
const BYTE = 63;

async function makeEdge(overrides: Partial<Edge>): Promise<Edge> {
  counter += 1;
  const edge: Edge = {
    stream: `READERS_${counter}`,
    subject: `test.readers.${counter}`,
    consumer: 'next',
    encoding: 'int8',
    rectified: true,
    shape: [1, 1, 1, 1],
    sampleBytes: 1000,
    depth: 4 * BATCH,
    whenFull: 'block',
    maxReuse: 0,
    ...overrides,
  };
  await ensureStreams(connection, [planStream(edge, BATCH)]);
  return edge;
}

async function source(edge: Edge, replica: number): Promise<Source> {
  const options = { natsUrl: nats.url, edge, batchSize: BATCH, replica };
  const end = await openSource({ ...options, clientName: `reader-${replica}` });
  open.add(end);
  return end;
}

async function sink(edge: Edge): Promise<Sink> {
  const end = await openSink({ natsUrl: nats.url, edge, batchSize: BATCH, clientName: 'producer' });
  open.add(end);
  return end;
}

function rows({ sampleBytes }: Edge, first: number) {
  const ids = Float64Array.from({ length: BATCH }, (_, i) => first + i);
  const bytes = new Uint8Array(BATCH * sampleBytes);
  ids.forEach((id, row) => {
    bytes.fill(id & BYTE, row * sampleBytes, (row + 1) * sampleBytes);
  });
  return { bytes, ids, labels: new Int32Array(BATCH), producerStep: 0, madeAt: Date.now() };
}

/** Puts batches, `stride` ids apart, until aborted. Returns the number of batches. */
async function produce(out: Sink, edge: Edge, first: number, stride: number, stop: AbortSignal) {
  let count = 0;
  while (!stop.aborted) {
    await out.put(rows(edge, first + count * stride), AbortSignal.timeout(60_000));
    count += 1;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return count;
}

/** Starts a reader that takes batches until `leave()`, which ends it between two of them. */
function reader(into: Source, sampleBytes: number) {
  const leave = new AbortController();
  const used: number[] = [];
  const work = (async () => {
    while (!leave.signal.aborted) {
      const batch = await into.take(leave.signal).catch(() => null);
      if (batch === null) break;
      for (const [row, id] of batch.ids.entries()) {
        const bytes = batch.bytes.subarray(row * sampleBytes, (row + 1) * sampleBytes);
        if (!bytes.every((byte) => byte === (id & BYTE))) throw new Error(`sample ${id} is mixed`);
      }
      used.push(...batch.ids);
      await new Promise((resolve) => setTimeout(resolve, 3));
      batch.done();
    }
  })();
  return {
    used,
    async leave() {
      leave.abort();
      await work;
      open.delete(into);
      await into.close();
    },
  };
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe('an edge with several readers', () => {
  it.each([
    ['with a batch per message', 1000],
    ['with several messages per batch', Math.floor(CHUNK_BYTES / 4)],
    ['in chunks', CHUNK_BYTES + 1000],
  ])(
    'uses each sample %s exactly once while a reader comes and goes',
    async (_, sampleBytes) => {
      const edge = await makeEdge({ sampleBytes });
      const stopProducing = new AbortController();
      const sinks = [await sink(edge), await sink(edge)];
      const sources = [await source(edge, 0)];
      const share = (readers: number) => {
        for (const end of [...sinks, ...sources]) end.share(readers);
      };
      const feeding = sinks.map((out, i) =>
        produce(out, edge, i * BATCH, sinks.length * BATCH, stopProducing.signal),
      );
      const first = reader(sources[0] as Source, sampleBytes);
      await until(() => first.used.length >= 5 * BATCH);

      sources.push(await source(edge, 1));
      const second = reader(sources[1] as Source, sampleBytes);
      share(2);
      await until(() => second.used.length >= 5 * BATCH);
      const alone = first.used.length;
      await until(() => first.used.length >= alone + 3 * BATCH);

      await second.leave();
      sources.pop();
      share(1);
      const before = first.used.length;
      await until(() => first.used.length >= before + 5 * BATCH);

      stopProducing.abort();
      const batches = await Promise.all(feeding);
      const made = batches.flatMap((count, i) =>
        Array.from({ length: count * BATCH }, (_, k) => {
          const batch = Math.floor(k / BATCH) * sinks.length + i;
          return batch * BATCH + (k % BATCH);
        }),
      );
      await until(() => first.used.length + second.used.length >= made.length);
      const used = [...first.used, ...second.used];
      expect(used.toSorted((a, b) => a - b)).toEqual(made.toSorted((a, b) => a - b));
      expect(second.used.length).toBeGreaterThan(0);
    },
    90_000,
  );

  it('redelivers immediately what a reader took and did not use', async () => {
    const edge = await makeEdge({});
    const out = await sink(edge);
    const left = await source(edge, 1);
    await out.put(rows(edge, 0), AbortSignal.timeout(60_000));
    await out.put(rows(edge, BATCH), AbortSignal.timeout(60_000));
    (await left.take(AbortSignal.timeout(60_000))).done();
    open.delete(left);
    await left.close();
    const batch = await (await source(edge, 0)).take(AbortSignal.timeout(60_000));
    expect([...batch.ids]).toEqual(Array.from({ length: BATCH }, (_, i) => BATCH + i));
  });

  it('counts samples that no reader received once, and not those of another reader', async () => {
    const edge = await makeEdge({ whenFull: 'dropOldest', depth: BATCH });
    const [out, one, two] = [await sink(edge), await source(edge, 0), await source(edge, 1)];
    for (const end of [one, two]) end.share(2);
    const readers = [reader(one, edge.sampleBytes), reader(two, edge.sampleBytes)];
    const seen = () => readers.reduce((sum, { used }) => sum + used.length, 0);
    const dropped = () => one.counters().dropped + two.counters().dropped;
    let made = 0;
    const send = async (batches: number, pause: number) => {
      for (let i = 0; i < batches; i += 1, made += BATCH) {
        await out.put(rows(edge, made), AbortSignal.timeout(60_000));
        await out.flush();
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    };
    await send(180, 0);
    await send(20, 30); // the next message reveals a gap, and a batch carries the counters
    // Messages in flight to a trainer that stops pulling are not counted, as after a second without a CPU.
    const margin = 30 * BATCH;
    const counted = () => seen() + dropped();
    await expect.poll(counted).toBeGreaterThan(made - margin);
    expect(counted()).toBeLessThan(made + margin);
    await Promise.all(readers.map((each) => each.leave()));
  });
});
