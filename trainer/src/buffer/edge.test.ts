import { CHUNK_BYTES } from '@greedy-infomax/crds';
import { headers } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eachFrame, FRAME_HEADER, type SentFrame, sealFrameHeader } from './frame.ts';
import { expectWhole, PER_MESSAGE, rows, TestEdges, TRANSPORTS, within } from './testing/edges.ts';

describe.each(TRANSPORTS)('%s', (_, way) => {
  let edges: TestEdges;

  beforeAll(async () => {
    edges = await TestEdges.start(way);
  });
  afterEach(() => edges.closeEnds());
  afterAll(() => edges.stop());

  describe('an edge', () => {
    it.each([1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1, 3_300_000])(
      'carries samples of %i bytes with their labels and the producer’s step',
      async (sampleBytes) => {
        const edge = await edges.make({ sampleBytes, depth: 8 });
        const [out, into] = [await edges.sink(edge, 2), await edges.source(edge, 2)];
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

    it.each(['dropOldest', 'block'] as const)(
      'carries a batch of more small samples than fit into the header of one message: %s',
      async (whenFull) => {
        const batchSize = 3000;
        const edge = await edges.make({ sampleBytes: 900, depth: 2 * batchSize, whenFull });
        const [out, into] = [
          await edges.sink(edge, batchSize),
          await edges.source(edge, batchSize),
        ];
        const ids = Array.from({ length: batchSize }, (_, i) => i);
        await out.put(rows(edge, ids), within(5000));
        const batch = await into.take(within(20_000));
        expectWhole(edge, batch);
        expect([...batch.ids].toSorted((a, b) => a - b)).toEqual(ids);
      },
    );

    it('distinguishes two producers', async () => {
      const edge = await edges.make({ sampleBytes: CHUNK_BYTES + 10, depth: 32 });
      const [a, b] = [await edges.sink(edge, 4), await edges.sink(edge, 4)];
      const into = await edges.source(edge, 4);
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

    it('counts foreign messages and uses none of them', async () => {
      const edge = await edges.make();
      const into = await edges.source(edge, 2);
      const frame = (sampleBytes: number): SentFrame =>
        [...eachFrame(rows({ ...edge, sampleBytes }, [1]), 1, () => 0)][0] as SentFrame;
      const { record, payload } = frame(1000);
      const header = sealFrameHeader(record);
      const noise = crypto.getRandomValues(new Uint8Array(300));
      for (const bad of [
        { header: '', payload },
        { header, payload: payload.subarray(0, 500) },
        { header: Buffer.from(noise).toString('base64'), payload },
        { header: sealFrameHeader(frame(999).record), payload: frame(999).payload },
        { header: record, payload },
        { header: '', payload: new Uint8Array(0) },
      ]) {
        const about = headers();
        if (bad.header) about.set(FRAME_HEADER, bad.header);
        edges.connection.publish(edge.subject, bad.payload, { headers: about });
      }
      await edges.connection.flush();
      const out = await edges.sink(edge, 2);
      await out.put(rows(edge, [7, 8]), within(5000));
      const batch = await into.take(within(10_000));
      expectWhole(edge, batch);
      expect([...batch.ids].toSorted()).toEqual([7, 8]);
      expect(into.counters().refused).toBe(6);
    });

    it('reports a producer of another version while no batch arrives', async () => {
      const edge = await edges.make();
      const into = await edges.source(edge, 2);
      const stop = new AbortController();
      const waiting = into.take(stop.signal).catch(() => 'stopped');
      const { record, payload } = [...eachFrame(rows(edge, [1]), 1, () => 0)][0] as SentFrame;
      const old = Buffer.from(record, 'base64');
      old.writeUInt16LE(2, 4);
      const about = headers();
      about.set(FRAME_HEADER, old.toString('base64')); // version 2 had no checksum
      edges.connection.publish(edge.subject, payload, { headers: about });
      await expect
        .poll(() => into.counters())
        .toMatchObject({ refused: 1, refusal: expect.stringContaining('version 2') });
      stop.abort();
      expect(await waiting).toBe('stopped');
    });

    it('ends an aborted wait and delivers its samples to the next one', async () => {
      const edge = await edges.make();
      const into = await edges.source(edge, 2);
      await expect(into.take(within(300))).rejects.toThrow();
      const out = await edges.sink(edge, 2);
      await out.put(rows(edge, [1, 2]), within(5000));
      expect((await into.take(within(10_000))).ids).toHaveLength(2);
    });
  });

  describe('a dropOldest edge', () => {
    it('skips to recent samples if its consumer is slow, and counts the others', async () => {
      const edge = await edges.make({ depth: 8 });
      const out = await edges.sink(edge, 4);
      const batches = 50;
      for (let i = 0; i < batches; i += 1) {
        await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3], i), within(5000));
        await out.flush(); // one at a time: tests the stream, not the local queue
      }
      expect(await out.flush()).toEqual({ published: 4 * batches, dropped: 0 });
      const into = await edges.source(edge, 4);
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
      'reuses a sample at most maxReuse times, while no newer one arrives: %s',
      async (_, sampleBytes) => {
        const edge = await edges.make({ maxReuse: 2, sampleBytes });
        const [out, into] = [await edges.sink(edge, 2), await edges.source(edge, 2)];
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

    it('never makes its producer wait, even without the server, and continues once it is back', async () => {
      const edge = await edges.make({ depth: 16 });
      const [out, into] = [await edges.sink(edge, 4), await edges.source(edge, 4)];
      await out.put(rows(edge, [0, 1, 2, 3]), within(5000));
      (await into.take(within(10_000))).done();
      await edges.nats.kill();
      for (let i = 1; i <= 100; i += 1) {
        await out.put(rows(edge, [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]), within(100));
      }
      await edges.nats.restart();
      await edges.remakeStream(edge);
      let first = 9000;
      const feeding = setInterval(() => {
        void out.put(rows(edge, [first, first + 1, first + 2, first + 3]), within(1000));
        first += 4;
      }, 100);
      try {
        const batch = await into.take(within(30_000));
        expectWhole(edge, batch);
      } finally {
        clearInterval(feeding);
      }
    });

    it('survives a compute thread that is busy for seconds', async () => {
      const edge = await edges.make({ sampleBytes: 500_000, depth: 16 });
      const [out, into] = [await edges.sink(edge, 2), await edges.source(edge, 2)];
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
});
