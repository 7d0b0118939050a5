import { expect, test } from 'vitest';
import { batchMemory } from '../buffer/batch-memory.ts';
import { DT, type Tensor } from '../tf.ts';
import { cast } from './ops.ts';
import { Program } from './program.ts';

const optimizer = {
  type: 'adam' as const,
  learningRate: 0.01,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};

const MEMORIES = {
  'memory of their own': (length: number) => new Uint8Array(length),
  'the middle of other memory': (length: number) => new Uint8Array(new ArrayBuffer(20), 3, length),
  'memory shared by threads': (length: number) => new Uint8Array(batchMemory(length), 0, length),
};

test.each(
  Object.entries(MEMORIES).flatMap(([where, make]) => [4, 5, 7].map((n) => ({ where, make, n }))),
)('$n bytes from $where come in and go out as they are', ({ make, n }) => {
  const same = Program.compile({
    weights: {},
    optimizer,
    functions: {
      same: {
        inputs: { x: { shape: [1, n], dtype: 'uint8' } },
        build: ({ x }) => {
          const numbers = cast(x as Tensor, DT.uint8, DT.float32);
          return { numbers, bytes: cast(numbers, DT.float32, DT.uint8) };
        },
      },
    },
  });
  const bytes = make(n).map((_, i) => 250 - i);
  const x = make(n);
  x.set(bytes);
  const { numbers, bytes: out } = same.run('same', { x });
  expect(Array.from(numbers ?? [])).toEqual(Array.from(bytes));
  expect(Array.from(out ?? [])).toEqual(Array.from(bytes));
  same.dispose();
});
