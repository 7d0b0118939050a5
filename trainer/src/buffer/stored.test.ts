import type { Edge } from '@greedy-infomax/crds';
import { connect } from '@nats-io/transport-node';
import { expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planStream } from '../../../operator/src/plan/stream.ts';
import { startNats } from '../../../test/support/nats.ts';
import { openSink, openSource } from './edge.ts';

const BATCH = 4;
const SAMPLES = 32;
const DEPTH = 16;
const REUSE = 3;

const edge: Edge = {
  stream: 'STORED',
  subject: 'stored',
  consumer: 'next',
  encoding: 'int8',
  rectified: true,
  shape: [1, 1, 1, 1],
  sampleBytes: 1000,
  depth: DEPTH,
  whenFull: 'dropOldest',
  maxReuse: REUSE,
  stores: true,
};

it('an edge that stores uses each sample maxReuse times and pulls others as samples run out', async () => {
  const nats = await startNats();
  const connection = await connect({ servers: nats.url });
  // Depth for all samples, so that none is dropped before it is pulled.
  await ensureStreams(connection, [planStream({ ...edge, depth: 2 * SAMPLES }, BATCH)]);
  const options = { natsUrl: nats.url, edge, batchSize: BATCH, clientName: 'test' };
  const [out, into] = [await openSink(options), await openSource(options)];
  try {
    const signal = AbortSignal.timeout(60_000);
    for (let id = 0; id < SAMPLES; id += BATCH) {
      const ids = Float64Array.from({ length: BATCH }, (_, i) => id + i);
      const labels = new Int32Array(BATCH);
      const bytes = new Uint8Array(BATCH * edge.sampleBytes);
      await out.put({ bytes, ids, labels, producerStep: 0, madeAt: Date.now() }, signal);
    }
    const uses = new Map<number, number>();
    for (let step = 0; step < (SAMPLES * (REUSE + 1)) / BATCH; step += 1) {
      const batch = await into.take(signal);
      for (const id of batch.ids) uses.set(id, (uses.get(id) ?? 0) + 1);
      batch.done();
      // Replacements of used samples, with the batch in use and one in flight.
      const gone = [...uses.values()].filter((count) => count > REUSE).length;
      expect(uses.size).toBeLessThanOrEqual(DEPTH + gone + 2 * BATCH);
    }
    expect([...uses.values()]).toEqual(new Array(SAMPLES).fill(REUSE + 1));
    expect(into.counters().reused).toBe(SAMPLES * REUSE);
  } finally {
    await Promise.all([out.close(), into.close()]);
    await connection.close();
    await nats.stop();
  }
});
