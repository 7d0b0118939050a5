import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openSink, openSource } from './edge.ts';
import { expectWhole, rows, TestEdges, within } from './testing/edges.ts';

const SAMPLE = 50_000;
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

let edges: TestEdges;
let folder: string;
beforeAll(async () => {
  edges = await TestEdges.start({ shared: true });
  folder = edges.shared as string;
});
afterEach(() => edges.closeEnds());
afterAll(() => edges.stop());

describe('an edge through shared memory', () => {
  it('sends no activations to the server', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const out = await edges.sink(edge, 2);
    await out.put(rows(edge, [1, 2]), within(5000));
    await out.flush();
    const { messages, bytes } = await edges.contents(edge);
    expect(messages).toBe(1);
    expect(bytes).toBeLessThan(1000);
    const into = await edges.source(edge, 2);
    expectWhole(edge, await into.take(within(10_000)));
  });

  it('counts samples that are overwritten in memory as dropped, and continues with the next', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const lost = await edges.sink(edge, 2);
    await lost.put(rows(edge, [1, 2]), within(5000));
    await lost.flush();
    expect(readdirSync(folder).length).toBeGreaterThan(0);
    for (const file of readdirSync(folder)) rmSync(join(folder, file));
    const out = await edges.sink(edge, 2);
    await out.put(rows(edge, [3, 4]), within(5000));
    const into = await edges.source(edge, 2);
    const batch = await into.take(within(10_000));
    expectWhole(edge, batch);
    expect([...batch.ids].toSorted()).toEqual([3, 4]);
    expect(into.counters()).toMatchObject({ received: 2, dropped: 2, refused: 0 });
  });

  it('limits memory to the depth of its stream, even for a slow consumer', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE, depth: 8 });
    const out = await edges.sink(edge, 4);
    for (let i = 0; i < 100; i += 1) {
      await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]), within(5000));
      await out.flush();
    }
    // Two batches in the stream, eight in flight to it and four in flight from it.
    const taken = readdirSync(folder).map((name) => 512 * statSync(join(folder, name)).blocks);
    expect(Math.max(...taken)).toBeLessThan(15 * 4 * SAMPLE);
    expect(Math.max(...taken)).toBeGreaterThan(8 * 4 * SAMPLE);
  });

  it('sends a batch of large samples in one message', async () => {
    const edge = await edges.make({ sampleBytes: 100_000 });
    const [out, into] = [await edges.sink(edge, 32), await edges.source(edge, 32)];
    await out.put(rows(edge, upTo(32)), within(5000));
    await out.flush();
    expect(await edges.contents(edge)).toMatchObject({ messages: 1 });
    const batch = await into.take(within(10_000));
    expectWhole(edge, batch);
    expect([...batch.ids].toSorted((a, b) => a - b)).toEqual(upTo(32));
  });

  it('sends samples without a slot in messages within the limit of the server', async () => {
    const edge = await edges.make({ sampleBytes: 100_000, whenFull: 'block' });
    const out = await edges.sink(edge, 32);
    const batches = Array.from({ length: 10 }, (_, i) => upTo(32).map((j) => 32 * i + j));
    for (const ids of batches) await out.put(rows(edge, ids), within(5000));
    await out.flush();
    // Slots for the two batches of the stream, two in flight to it and four from it; other messages hold eight samples.
    expect(await edges.contents(edge)).toMatchObject({ messages: 8 + 2 * 4 });
    const into = await edges.source(edge, 32);
    for (const ids of batches) {
      const batch = await into.take(within(10_000));
      expectWhole(edge, batch);
      expect([...batch.ids]).toEqual(ids);
      batch.done();
    }
  });

  it.each([
    ['dropOldest', { whenFull: 'dropOldest' }],
    ['dropOldest with reuse', { whenFull: 'dropOldest', maxReuse: 3, depth: 32 }],
    ['block', { whenFull: 'block' }],
  ] as const)('with %s leaves a batch alone until its step is over', async (_, change) => {
    const edge = await edges.make({ sampleBytes: 40_000, ...change });
    const [out, into] = [await edges.sink(edge, 32), await edges.source(edge, 32)];
    const stopped = new AbortController();
    const feeding = (async () => {
      for (let i = 0; !stopped.signal.aborted; i += 1) {
        await out
          .put(
            rows(
              edge,
              upTo(32).map((j) => 32 * i + j),
            ),
            stopped.signal,
          )
          .catch(() => {});
        await sleep(10); // so that a few hundred samples arrive during a step
      }
    })();
    for (let step = 0; step < 10; step += 1) {
      const batch = await into.take(within(10_000));
      expectWhole(edge, batch);
      const before = Buffer.from(batch.bytes);
      await sleep(100);
      expect(before.equals(batch.bytes)).toBe(true);
      batch.done();
    }
    stopped.abort();
    await feeding;
  });

  it('goes through the server if the producer has no folder', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const options = { natsUrl: edges.nats.url, edge, batchSize: 2, clientName: 'test' };
    const out = await openSink({ ...options, shared: join(folder, 'none') });
    const into = await edges.source(edge, 2);
    await out.put(rows(edge, [1, 2]), within(5000));
    expectWhole(edge, await into.take(within(10_000)));
    await out.close();
  });

  it('is refused and reported by a consumer without access to the memory', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const options = { natsUrl: edges.nats.url, edge, batchSize: 2, clientName: 'test' };
    const [out, into] = [await edges.sink(edge, 2), await openSource(options)];
    await out.put(rows(edge, [1, 2]), within(5000));
    await out.flush();
    const plain = await openSink(options);
    await plain.put(rows(edge, [3, 4]), within(5000));
    expectWhole(edge, await into.take(within(10_000)));
    expect(into.counters().refused).toBe(1);
    await Promise.all([plain.close(), into.close()]);
  });
});
