import {
  CHUNK_BYTES,
  chunksPerSample,
  type Edge,
  FRAME_HEADER_BYTES,
  SAMPLE_HEADER_BYTES,
  samplesPerMessage,
} from '@greedy-infomax/crds';
import { expect, test } from 'vitest';
import { planState, planStream } from './stream.ts';

const edge = (change: Partial<Edge>): Edge => ({
  stream: 'S',
  subject: 's',
  consumer: 'c',
  encoding: 'int8',
  rectified: false,
  shape: [1, 1, 1, 1],
  sampleBytes: 1000,
  depth: 256,
  whenFull: 'dropOldest',
  maxReuse: 0,
  ...change,
});

/** Samples that fit into the stream when full batches are sent. */
function capacity(sampleBytes: number, batchSize: number, depth: number): number {
  const { maxMessages, maxBytes } = planStream(edge({ sampleBytes, depth }), batchSize);
  const whole = Math.min(batchSize, samplesPerMessage(sampleBytes));
  const messages = whole ? Math.ceil(batchSize / whole) : batchSize * chunksPerSample(sampleBytes);
  const bytes =
    batchSize * (sampleBytes + SAMPLE_HEADER_BYTES) + messages * (FRAME_HEADER_BYTES + 300);
  return Math.min(maxMessages / messages, maxBytes / bytes) * batchSize;
}

test.each([
  ['small samples', 1000, 32],
  ['a batch of one', 1000, 1],
  ['samples of which a message holds few', 100_608, 32],
  ['samples of exactly one chunk', CHUNK_BYTES, 32],
  ['samples in chunks', 12_845_056, 32],
])('holds depth samples: %s', (_, sampleBytes, batchSize) => {
  expect(capacity(sampleBytes, batchSize, 256)).toBeGreaterThanOrEqual(256);
  expect(capacity(sampleBytes, batchSize, 256)).toBeLessThan(2 * 256 + batchSize);
});

test('through memory a message tells of a batch, and the stream holds as many samples', () => {
  const large = edge({ sampleBytes: 100_608 });
  expect(planStream(large, 32).maxMessages).toBe(8 * 4);
  expect(planStream(large, 32, true).maxMessages).toBe(8);
  // A sample larger than a message is always split in the same way.
  const parts = edge({ sampleBytes: CHUNK_BYTES + 1 });
  expect(planStream(parts, 32, true)).toEqual(planStream(parts, 32));
});

test('a stream of a single batch has room for a message beside the one that is read', () => {
  expect(planStream(edge({ depth: 32 }), 32).maxMessages).toBe(2);
});

test('block: the module may hold every message of the stream without acknowledging one', () => {
  const { consumer, maxMessages } = planStream(
    edge({ whenFull: 'block', sampleBytes: 12_845_056 }),
    32,
  );
  expect(consumer.maxAckPending).toBeGreaterThan(maxMessages);
});

test('a dead consumer’s messages are given out again within half a minute', () => {
  const { ackWaitSeconds } = planStream(edge({}), 32).consumer;
  expect(ackWaitSeconds).toBeGreaterThanOrEqual(10);
  expect(ackWaitSeconds).toBeLessThanOrEqual(30);
});

test('the state holds the weights of each replica, and none of a module with one', () => {
  const bytes = (...replicas: number[]) => {
    const modules = replicas.map((count) => ({ replicas: count, weightBytes: 1e9 }));
    return planState({ namespace: 'n', name: 'r', uid: 'u' }, modules).maxBytes;
  };
  const alone = bytes(1, 1);
  expect(alone).toBeLessThan(1e7);
  expect(bytes(1, 3) - alone).toBeGreaterThan(3e9);
  expect(bytes(1, 3) - alone).toBeLessThan(3.3e9);
  expect(bytes(2, 3) - alone).toBeGreaterThan(5e9);
});
