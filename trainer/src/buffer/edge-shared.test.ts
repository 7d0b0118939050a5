import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openSink, openSource } from './edge.ts';
import { expectWhole, rows, TestEdges, within } from './test-edges.ts';

const SAMPLE = 50_000;

let edges: TestEdges;
let folder: string;
beforeAll(async () => {
  edges = await TestEdges.start({ shared: true });
  folder = edges.shared as string;
});
afterEach(() => edges.closeEnds());
afterAll(() => edges.stop());

describe('an edge through shared memory', () => {
  it('gives the server no activations', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const out = await edges.sink(edge, 2);
    await out.put(rows(edge, [1, 2]), within(5000));
    await out.flush();
    const { messages, bytes } = await edges.held(edge);
    expect(messages).toBe(1);
    expect(bytes).toBeLessThan(1000);
    const into = await edges.source(edge, 2);
    expectWhole(edge, await into.take(within(10_000)));
  });

  it('counts samples that are gone from memory as dropped, and goes on with the next', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const lost = await edges.sink(edge, 2);
    await lost.put(rows(edge, [1, 2]), within(5000));
    await lost.flush();
    for (const file of readdirSync(folder)) rmSync(join(folder, file));
    const out = await edges.sink(edge, 2);
    await out.put(rows(edge, [3, 4]), within(5000));
    const into = await edges.source(edge, 2);
    const batch = await into.take(within(10_000));
    expectWhole(edge, batch);
    expect([...batch.ids].toSorted()).toEqual([3, 4]);
    expect(into.counters()).toMatchObject({ received: 2, dropped: 2, refused: 0 });
  });

  it('takes no more memory than its stream holds, however slow the consumer is', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE, depth: 8 });
    const out = await edges.sink(edge, 4);
    for (let i = 0; i < 100; i += 1) {
      await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]), within(5000));
      await out.flush();
    }
    // Two messages that the stream holds, and eight on their way in and out each.
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    expect(Math.max(...sizes)).toBeLessThan(19 * 2 ** 20);
    expect(Math.max(...sizes)).toBeGreaterThan(10 * 2 ** 20);
  });

  it('goes through the server where the producer finds no folder', async () => {
    const edge = await edges.make({ sampleBytes: SAMPLE });
    const options = { natsUrl: edges.nats.url, edge, batchSize: 2, clientName: 'test' };
    const out = await openSink({ ...options, shared: join(folder, 'none') });
    const into = await edges.source(edge, 2);
    await out.put(rows(edge, [1, 2]), within(5000));
    expectWhole(edge, await into.take(within(10_000)));
    await out.close();
  });

  it('is refused, and said to be, by a consumer that has no part in the memory', async () => {
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
