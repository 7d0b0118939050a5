import { describe, expect, it, test } from 'vitest';
import { backend, DT } from '../tf.ts';
import { BatchMemories, batchMemory } from './batch-memory.ts';

test.each([1, 64, 100_000])('TensorFlow reads a batch of %i values where it lies', (values) => {
  const batch = new Int32Array(batchMemory(4 * values), 0, values);
  const id = backend.binding.createTensor([values], DT.int32, batch);
  batch[values - 1] = 7; // a copy would not change
  expect(backend.binding.tensorDataSync(id)[values - 1]).toBe(7);
  backend.binding.deleteTensor(id);
});

describe('a pool of batch memories', () => {
  it('reuses a memory once it is given back, not before', () => {
    const memories = new BatchMemories(100, 2);
    const [first, second] = [memories.take(100), memories.take(100)] as [Buffer, Buffer];
    expect(first.buffer).not.toBe(second.buffer);
    expect(memories.take(100)).toBeNull();
    expect(memories.giveBack(first.subarray(50, 60))).toBe(true);
    expect(memories.take(100)?.buffer).toBe(first.buffer);
  });

  it('takes a memory back only once', () => {
    const memories = new BatchMemories(100, 1);
    const batch = memories.take(100) as Buffer;
    expect([memories.giveBack(batch), memories.giveBack(batch)]).toEqual([true, false]);
    memories.take(100);
    expect(memories.take(100)).toBeNull();
  });

  it('has memories of the size of a batch only', () => {
    const memories = new BatchMemories(100, 2);
    expect(memories.take(99)).toBeNull();
    expect(memories.find(Buffer.alloc(100))).toBeNull();
    expect(memories.giveBack(Buffer.alloc(100))).toBe(false);
  });
});
