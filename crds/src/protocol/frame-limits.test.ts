import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CHUNK_BYTES,
  chunksPerSample,
  FRAME_HEADER_BYTES,
  MAX_SHARDS,
  MESSAGE_BYTES,
  messagesHeld,
  messagesPerBatch,
  SAMPLE_HEADER_BYTES,
  SHARED_PAYLOAD_BYTES,
  samplesPerFrame,
  samplesPerMessage,
  shardsOf,
} from './frame-limits.ts';

/** Bytes of a message of `samples` whole samples, headers included. */
const messageBytes = (samples: number, sampleBytes: number) =>
  FRAME_HEADER_BYTES + samples * (SAMPLE_HEADER_BYTES + sampleBytes);

const anySize = fc.oneof(
  fc.integer({ min: 1, max: 5000 }),
  fc.integer({ min: 5000, max: 3 * MESSAGE_BYTES }),
  fc.integer({ min: CHUNK_BYTES - 2, max: CHUNK_BYTES + 2 }),
);
const anyBatch = fc.integer({ min: 1, max: 3000 });
const whenFull = fc.constantFrom('block' as const, 'dropOldest' as const);

describe('a message', () => {
  it('holds as many whole samples as fit, and at most 1024', () => {
    fc.assert(
      fc.property(anySize, (size) => {
        const samples = samplesPerMessage(size);
        if (samples > 0) expect(messageBytes(samples, size)).toBeLessThanOrEqual(MESSAGE_BYTES);
        if (samples < 1024) expect(messageBytes(samples + 1, size)).toBeGreaterThan(MESSAGE_BYTES);
        expect(samples).toBeLessThanOrEqual(1024);
      }),
    );
    expect(samplesPerMessage(1)).toBe(1024);
  });

  it('leaves 16 KiB of the default limit of a NATS server', () => {
    expect(MESSAGE_BYTES).toBe(1024 * 1024 - 16 * 1024);
    expect(messageBytes(1, CHUNK_BYTES)).toBe(MESSAGE_BYTES);
  });

  it('describes at most 4 MiB of shared memory', () => {
    expect(SHARED_PAYLOAD_BYTES).toBe(4 * 1024 * 1024);
    expect(samplesPerFrame({ sampleBytes: 500_000, whenFull: 'dropOldest' }, 32, true)).toBe(8);
    expect(samplesPerFrame({ sampleBytes: 1, whenFull: 'dropOldest' }, 5000, true)).toBe(1024);
    const large = { sampleBytes: 25_000, whenFull: 'dropOldest' } as const;
    expect(samplesPerFrame(large, 500, true)).toBe(167);
    expect(samplesPerFrame(large, 500, false)).toBe(samplesPerMessage(25_000));
    const inChunks = { sampleBytes: CHUNK_BYTES + 1, whenFull: 'dropOldest' } as const;
    expect(samplesPerFrame(inChunks, 32, true)).toBe(0);
  });
});

describe('a large sample', () => {
  it('takes the fewest chunks that hold it', () => {
    fc.assert(
      fc.property(anySize, (size) => {
        const chunks = chunksPerSample(size);
        expect(chunks * CHUNK_BYTES).toBeGreaterThanOrEqual(size);
        expect((chunks - 1) * CHUNK_BYTES).toBeLessThan(size);
      }),
    );
  });

  it('has shards, and a small one has one', () => {
    expect(shardsOf(CHUNK_BYTES)).toBe(1);
    expect(shardsOf(CHUNK_BYTES + 1)).toBe(MAX_SHARDS);
  });
});

describe('the messages of a batch', () => {
  it('are all of one size with block, and as large as fit', () => {
    fc.assert(
      fc.property(anySize, anyBatch, fc.boolean(), (sampleBytes, batchSize, shared) => {
        const edge = { sampleBytes, whenFull: 'block' as const };
        const most = samplesPerFrame({ ...edge, whenFull: 'dropOldest' }, batchSize, shared);
        const divisors = Array.from({ length: most }, (_, i) => i + 1).filter(
          (samples) => batchSize % samples === 0,
        );
        expect(samplesPerFrame(edge, batchSize, shared)).toBe(divisors.at(-1) ?? 0);
      }),
    );
  });

  it('hold all its samples, and none could be left out', () => {
    fc.assert(
      fc.property(anySize, anyBatch, whenFull, (sampleBytes, batchSize, whenFull) => {
        const edge = { sampleBytes, whenFull };
        const samples = samplesPerFrame(edge, batchSize);
        const messages = messagesPerBatch(edge, batchSize);
        if (samples === 0) {
          expect(messages).toBe(batchSize * chunksPerSample(sampleBytes));
        } else {
          expect(messages * samples).toBeGreaterThanOrEqual(batchSize);
          expect((messages - 1) * samples).toBeLessThan(batchSize);
        }
      }),
    );
  });
});

it('a stream holds the messages of the batches that have `depth` samples, and two at least', () => {
  fc.assert(
    fc.property(anySize, anyBatch, anyBatch, (sampleBytes, batchSize, depth) => {
      const edge = { sampleBytes, depth, whenFull: 'dropOldest' as const };
      const batches = Math.ceil(depth / batchSize);
      const needed =
        samplesPerMessage(sampleBytes) === 0
          ? depth * chunksPerSample(sampleBytes)
          : batches * messagesPerBatch(edge, batchSize);
      expect(messagesHeld(edge, batchSize)).toBe(Math.max(2, needed));
    }),
  );
  expect(messagesHeld({ sampleBytes: 1, depth: 1, whenFull: 'block' }, 1)).toBe(2);
});
