import { headers } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eachFrame, FRAME_HEADER, sealFrameHeader } from './frame.ts';
import { expectWhole, PER_MESSAGE, rows, TestEdges, TRANSPORTS, within } from './testing/edges.ts';

describe.each(TRANSPORTS)('%s', (_, way) => {
  let edges: TestEdges;

  beforeAll(async () => {
    edges = await TestEdges.start(way);
  });
  afterEach(() => edges.closeEnds());
  afterAll(() => edges.stop());

  describe('a block edge', () => {
    it.each(PER_MESSAGE)(
      'delivers every sample exactly once, in order, to a consumer slower than its producer: %s',
      async (_, sampleBytes) => {
        const edge = await edges.make({ whenFull: 'block', depth: 8, sampleBytes });
        const [out, into] = [await edges.sink(edge, 4), await edges.source(edge, 4)];
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
        await expect.poll(() => edges.contents(edge)).toMatchObject({ messages: 0 });
      },
    );

    it.each(PER_MESSAGE)(
      'redelivers immediately the unused samples of a consumer that ended: %s',
      async (_, sampleBytes) => {
        const edge = await edges.make({ sampleBytes, whenFull: 'block', depth: 8 });
        const out = await edges.sink(edge, 2);
        await out.put(rows(edge, [1, 2]), within(5000));
        const first = await edges.source(edge, 2);
        expectWhole(edge, await first.take(within(10_000)));
        await first.close();
        const second = await edges.source(edge, 2);
        const batch = await second.take(within(10_000));
        expectWhole(edge, batch);
        expect([...batch.ids].toSorted()).toEqual([1, 2]); // chunks may arrive in another order
        expect(second.counters().dropped).toBe(0);
      },
    );

    it.each([1000, 120_000])(
      'acknowledges refused messages and continues with the next: samples of %i bytes',
      async (sampleBytes) => {
        const edge = await edges.make({
          encoding: 'float32',
          whenFull: 'block',
          depth: 8,
          sampleBytes,
        });
        const [out, into] = [await edges.sink(edge, 4), await edges.source(edge, 4)];
        const asked = into.take(within(60_000));
        for (let i = 0; i < 16; i += 1) {
          const batch = rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]);
          batch.bytes.fill(0xff); // NaN throughout
          await out.put(batch, within(30_000));
        }
        await out.put(rows(edge, [100, 101, 102, 103]), within(30_000));
        const batch = await asked;
        expectWhole(edge, batch);
        expect(batch.ids).toEqual(Float64Array.of(100, 101, 102, 103));
        batch.done();
        expect(into.counters().refused).toBeGreaterThanOrEqual(16);
        await expect.poll(() => edges.contents(edge)).toMatchObject({ messages: 0 });
      },
    );

    it.each([1000, 120_000])(
      'acknowledges repeated messages: samples of %i bytes',
      async (sampleBytes) => {
        const edge = await edges.make({ whenFull: 'block', depth: 8, sampleBytes });
        const [out, into] = [await edges.sink(edge, 4), await edges.source(edge, 4)];
        const frames = Array.from({ length: 4 }, (_, group) => [
          ...eachFrame(rows(edge, [4 * group]), 7, () => group),
        ]).flat();
        for (const { record, payload } of [...frames, ...frames]) {
          const about = headers();
          about.set(FRAME_HEADER, sealFrameHeader(record));
          edges.connection.publish(edge.subject, payload, { headers: about });
        }
        await edges.connection.flush();
        await out.put(rows(edge, [101, 102, 103, 104]), within(30_000));
        const seen: number[] = [];
        while (seen.length < 8) {
          const batch = await into.take(within(30_000));
          seen.push(...batch.ids);
          batch.done();
        }
        expect(seen.toSorted((a, b) => a - b)).toEqual([0, 4, 8, 12, 101, 102, 103, 104]);
        expect(into.counters().repeated).toBe(4);
        await expect.poll(() => edges.contents(edge)).toMatchObject({ messages: 0 });
      },
    );

    it('makes a producer wait while it has no consumer', async () => {
      const edge = await edges.make({ whenFull: 'block', depth: 2 });
      const out = await edges.sink(edge, 2);
      const puts = async () => {
        for (let i = 0; i < 20; i += 1) await out.put(rows(edge, [2 * i, 2 * i + 1]), within(1500));
      };
      await expect(puts()).rejects.toThrow();
    });

    it.each(PER_MESSAGE)(
      'duplicates no sample when the server dies and its stream is created again: %s',
      async (_, sampleBytes) => {
        const edge = await edges.make({ whenFull: 'block', depth: 16, sampleBytes });
        const [out, into] = [await edges.sink(edge, 2), await edges.source(edge, 2)];
        const seen: number[] = [];
        const takeOne = async () => {
          const batch = await into.take(within(30_000));
          expectWhole(edge, batch);
          seen.push(...batch.ids);
          batch.done();
        };
        await out.put(rows(edge, [0, 1]), within(5000));
        await takeOne();
        await edges.nats.kill();
        const producing = (async () => {
          for (let i = 1; i < 10; i += 1)
            await out.put(rows(edge, [2 * i, 2 * i + 1]), within(30_000));
        })();
        await edges.nats.restart();
        await edges.remakeStream(edge);
        await producing;
        while (seen.length < 20) await takeOne();
        expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i));
      },
    );
  });
});
