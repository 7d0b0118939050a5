import { expect, test } from 'vitest';
import { backend, DT } from '../tf.ts';
import { batchMemory } from './batch-memory.ts';

test.each([1, 64, 100_000])('TensorFlow reads a batch of %i values where it lies', (values) => {
  const batch = new Int32Array(batchMemory(4 * values), 0, values);
  const id = backend.binding.createTensor([values], DT.int32, batch);
  batch[values - 1] = 7; // seen only by what is not a copy
  expect(backend.binding.tensorDataSync(id)[values - 1]).toBe(7);
  backend.binding.deleteTensor(id);
});
