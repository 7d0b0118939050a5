import { CHUNK_BYTES, chunksPerSample, type Edge, samplesPerMessage } from '@greedy-infomax/crds';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { openSink, openSource, type Sink, type Source } from './edge.ts';
import { eachFrame, FRAME_HEADER, type SentFrame } from './frame.ts';

let nats: TestNats;
let connection: NatsConnection;
let counter = 0;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  nats = await startNats();
  connection = await connect({
    servers: nats.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((end) => end.close()));
});
afterAll(async () => {
  await connection.close();
  await nats.stop();
});

/** An edge of its own for every test. */
function edgeOf(overrides: Partial<Edge> = {}): Edge {
  counter += 1;
  return {
    stream: `TEST_${counter}`,
    subject: `test.edge.${counter}`,
    consumer: 'next',
    encoding: 'int8',
    rectified: true,
    shape: [1, 1, 1, 1],
    sampleBytes: 1000,
    depth: 64,
    whenFull: 'dropOldest',
    maxReuse: 0,
    ...overrides,
  };
}

/** Makes the stream anew, as soon as the restarted server answers. */
async function remakeStream(edge: Edge): Promise<void> {
  for (;;) {
    try {
      await makeStream(edge);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function makeStream(edge: Edge): Promise<number> {
  const { depth, sampleBytes, whenFull, stream: name, subject } = edge;
  return ensureStreams(connection, [
    {
      name,
      subject,
      whenFull,
      depth,
      sampleBytes,
      maxBytes: depth * (sampleBytes + 2000) + 4_000_000,
      maxMessages:
        samplesPerMessage(sampleBytes) > 0 ? depth : depth * chunksPerSample(sampleBytes),
      maxMessageBytes: 1_048_576,
      consumer: { name: edge.consumer, ackWaitSeconds: 60, maxAckPending: 1000 },
    },
  ]);
}

const messagesIn = async ({ stream }: Edge): Promise<number> =>
  (await (await jetstreamManager(connection)).streams.info(stream)).state.messages;

/** How samples come: several small ones to a message, large ones, in parts. */
const PER_MESSAGE: [string, number][] = [
  ['small samples', 1000],
  ['large ones', 120_000],
  ['in parts', CHUNK_BYTES + 1000],
];

async function source(edge: Edge, batchSize: number): Promise<Source> {
  const end = await openSource({ natsUrl: nats.url, edge, batchSize, clientName: 'test' });
  open.push(end);
  return end;
}
async function sink(edge: Edge, batchSize: number): Promise<Sink> {
  const end = await openSink({ natsUrl: nats.url, edge, batchSize, clientName: 'test' });
  open.push(end);
  return end;
}

/** Every byte tells its sample and its place, so a torn or mixed one shows. Below 64 all are small floats, too. */
const byteOf = (id: number, i: number) => (id * 31 + i * 7 + (i >> 8)) & 63;

function rows(edge: Edge, ids: number[], producerStep = 0) {
  const size = edge.sampleBytes;
  const bytes = new Uint8Array(ids.length * size);
  for (const [row, id] of ids.entries()) {
    for (let i = 0; i < size; i += 1) bytes[row * size + i] = byteOf(id, i);
  }
  const labels = Int32Array.from(ids, (id) => id % 10);
  return { bytes, ids: Float64Array.from(ids), labels, producerStep, madeAt: Date.now() };
}

function expectWhole(edge: Edge, batch: Awaited<ReturnType<Source['take']>>): void {
  for (const [row, id] of batch.ids.entries()) {
    expect(batch.labels[row]).toBe(id % 10);
    const got = batch.bytes.subarray(row * edge.sampleBytes, (row + 1) * edge.sampleBytes);
    const wrong = got.findIndex((byte, i) => byte !== byteOf(id, i));
    expect(wrong, `first wrong byte of sample ${id}`).toBe(-1);
  }
}

const within = (ms: number) => AbortSignal.timeout(ms);

describe('an edge', () => {
  it.each([1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1, 3_300_000])(
    'carries samples of %i bytes whole, with their labels and the producer’s step',
    async (sampleBytes) => {
      const edge = edgeOf({ sampleBytes, depth: 8 });
      await makeStream(edge);
      const [out, into] = [await sink(edge, 2), await source(edge, 2)];
      await out.put(rows(edge, [1, 2], 5), within(5000));
      await out.put(rows(edge, [3, 4], 9), within(5000));
      const seen: number[] = [];
      const newest: number[] = [];
      for (let i = 0; i < 2; i += 1) {
        const batch = await into.take(within(20_000));
        expectWhole(edge, batch);
        seen.push(...batch.ids);
        newest.push(...batch.newestSteps);
        batch.done();
      }
      expect(seen.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
      expect(Math.max(...newest)).toBe(9);
    },
  );

  it('keeps two producers apart', async () => {
    const edge = edgeOf({ sampleBytes: CHUNK_BYTES + 10, depth: 32 });
    await makeStream(edge);
    const [a, b] = [await sink(edge, 4), await sink(edge, 4)];
    const into = await source(edge, 4);
    await Promise.all([
      a.put(rows(edge, [0, 2, 4, 6]), within(5000)),
      b.put(rows(edge, [1, 3, 5, 7]), within(5000)),
    ]);
    const seen: number[] = [];
    while (seen.length < 8) {
      const batch = await into.take(within(20_000));
      expectWhole(edge, batch);
      seen.push(...batch.ids);
      batch.done();
    }
    expect(seen.toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('counts messages that are not its own and uses none of them', async () => {
    const edge = edgeOf();
    await makeStream(edge);
    const into = await source(edge, 2);
    const frame = (sampleBytes: number): SentFrame =>
      [...eachFrame(rows({ ...edge, sampleBytes }, [1]), 1, 0)][0] as SentFrame;
    const { header, body } = frame(1000);
    const noise = crypto.getRandomValues(new Uint8Array(300));
    for (const bad of [
      { header: '', body },
      { header, body: body.subarray(0, 500) },
      { header: Buffer.from(noise).toString('base64'), body },
      frame(999),
      { header: '', body: new Uint8Array(0) },
    ]) {
      const about = headers();
      if (bad.header) about.set(FRAME_HEADER, bad.header);
      connection.publish(edge.subject, bad.body, { headers: about });
    }
    await connection.flush();
    const out = await sink(edge, 2);
    await out.put(rows(edge, [7, 8]), within(5000));
    const batch = await into.take(within(10_000));
    expectWhole(edge, batch);
    expect([...batch.ids].toSorted()).toEqual([7, 8]);
    expect(into.counters().refused).toBe(5);
  });

  it('ends a wait that is no longer wanted, and gives the samples to the next', async () => {
    const edge = edgeOf();
    await makeStream(edge);
    const into = await source(edge, 2);
    await expect(into.take(within(300))).rejects.toThrow();
    const out = await sink(edge, 2);
    await out.put(rows(edge, [1, 2]), within(5000));
    expect((await into.take(within(10_000))).ids).toHaveLength(2);
  });
});

describe('a dropOldest edge', () => {
  it('skips to recent samples when its consumer is slow, and counts the rest', async () => {
    const edge = edgeOf({ depth: 8 });
    await makeStream(edge);
    const out = await sink(edge, 4);
    const batches = 50;
    for (let i = 0; i < batches; i += 1) {
      await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3], i), within(5000));
      await out.flush(); // one after another: this is about the stream, not about the local queue
    }
    expect(await out.flush()).toEqual({ published: 4 * batches, dropped: 0 });
    const into = await source(edge, 4);
    const used = new Set<number>();
    for (let i = 0; i < 2; i += 1) {
      const batch = await into.take(within(10_000));
      expectWhole(edge, batch);
      for (const id of batch.ids) used.add(id);
      batch.done();
    }
    expect(used.size).toBe(8);
    expect(Math.min(...used)).toBeGreaterThanOrEqual(4 * batches - 4 * 8 - 8);
  });

  it.each(PER_MESSAGE)(
    'uses a sample again while no newer one comes, no more often than maxReuse: %s',
    async (_, sampleBytes) => {
      const edge = edgeOf({ maxReuse: 2, sampleBytes });
      await makeStream(edge);
      const [out, into] = [await sink(edge, 2), await source(edge, 2)];
      await out.put(rows(edge, [1, 2]), within(5000));
      for (let i = 0; i < 3; i += 1) {
        const batch = await into.take(within(10_000));
        expect(new Set(batch.ids).size).toBe(2);
        batch.done();
      }
      expect(into.counters().reused).toBe(4);
      await expect(into.take(within(300))).rejects.toThrow();
      for (let i = 1; i < 12; i += 1) {
        await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]), within(5000));
        for (let use = 0; use < 5; use += 1) {
          const batch = await into.take(within(10_000));
          expectWhole(edge, batch);
          batch.done();
        }
      }
    },
  );

  it('never makes its producer wait, even with the server gone, and goes on when it is back', async () => {
    const edge = edgeOf({ depth: 16 });
    await makeStream(edge);
    const [out, into] = [await sink(edge, 4), await source(edge, 4)];
    await out.put(rows(edge, [0, 1, 2, 3]), within(5000));
    (await into.take(within(10_000))).done();
    await nats.kill();
    for (let i = 1; i <= 100; i += 1) {
      await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]), within(100));
    }
    await nats.restart();
    await remakeStream(edge);
    const feeding = setInterval(() => {
      void out.put(
        rows(
          edge,
          [9000, 9001, 9002, 9003].map((id) => id + counter++ * 4),
        ),
        within(1000),
      );
    }, 100);
    try {
      const batch = await into.take(within(30_000));
      expectWhole(edge, batch);
    } finally {
      clearInterval(feeding);
    }
  });

  it('survives a compute thread that is busy for seconds', async () => {
    const edge = edgeOf({ sampleBytes: 500_000, depth: 16 });
    await makeStream(edge);
    const [out, into] = [await sink(edge, 2), await source(edge, 2)];
    for (let i = 0; i < 8; i += 1) await out.put(rows(edge, [2 * i, 2 * i + 1]), within(5000));
    const until = Date.now() + 3000;
    while (Date.now() < until);
    const seen: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      const batch = await into.take(within(10_000));
      expectWhole(edge, batch);
      seen.push(...batch.ids);
      batch.done();
    }
    expect(new Set(seen).size).toBe(16);
    expect(into.counters().repeated).toBe(0);
  });
});

describe('a block edge', () => {
  it.each(PER_MESSAGE)(
    'gives every sample exactly once, in order, to a consumer slower than its producer: %s',
    async (_, sampleBytes) => {
      const edge = edgeOf({ whenFull: 'block', depth: 8, sampleBytes });
      await makeStream(edge);
      const [out, into] = [await sink(edge, 4), await source(edge, 4)];
      const count = 25;
      const producing = (async () => {
        for (let i = 0; i < count; i += 1) {
          await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]), within(30_000));
        }
      })();
      const seen: number[] = [];
      while (seen.length < 4 * count) {
        const batch = await into.take(within(30_000));
        expectWhole(edge, batch);
        seen.push(...batch.ids);
        batch.done();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await producing;
      expect(seen).toEqual(Array.from({ length: 4 * count }, (_, i) => i));
      expect(into.counters().dropped).toBe(0);
      await expect.poll(() => messagesIn(edge)).toBe(0);
    },
  );

  it('makes a producer wait whose consumer does not come', async () => {
    const edge = edgeOf({ whenFull: 'block', depth: 2 });
    await makeStream(edge);
    const out = await sink(edge, 2);
    const puts = async () => {
      for (let i = 0; i < 20; i += 1) await out.put(rows(edge, [2 * i, 2 * i + 1]), within(1500));
    };
    await expect(puts()).rejects.toThrow();
  });

  it('doubles nothing when the server dies and its stream is made anew', async () => {
    const edge = edgeOf({ whenFull: 'block', depth: 16 });
    await makeStream(edge);
    const [out, into] = [await sink(edge, 2), await source(edge, 2)];
    const seen: number[] = [];
    const takeOne = async () => {
      const batch = await into.take(within(30_000));
      expectWhole(edge, batch);
      seen.push(...batch.ids);
      batch.done();
    };
    await out.put(rows(edge, [0, 1]), within(5000));
    await takeOne();
    await nats.kill();
    const producing = (async () => {
      for (let i = 1; i < 10; i += 1) await out.put(rows(edge, [2 * i, 2 * i + 1]), within(30_000));
    })();
    await nats.restart();
    await remakeStream(edge);
    await producing;
    while (seen.length < 20) await takeOne();
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});
