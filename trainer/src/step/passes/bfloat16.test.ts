import { expect, it } from 'vitest';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import type { StepFunction } from '../function.ts';
import { Program } from '../program.ts';
import { distance, OPTIMIZER, withoutPattern } from '../testing/tensors.ts';

const ROWS = 64;

const WEIGHTS = {
  first: { shape: [32, 32], values: withoutPattern(1024) },
  bias: { shape: [32], values: withoutPattern(32) },
  second: { shape: [32, 32], values: withoutPattern(1024).map((x) => -x) },
};

/** Two matmuls with other ops between them, and sums outside of any matmul. */
const train: StepFunction = {
  inputs: { x: { shape: [ROWS, 32], dtype: 'float32' } },
  build: ({ x }, weights) => {
    const by = (y: Tensor, name: string) =>
      tf.matMul(y as Tfjs.Tensor2D, weights[name] as Tfjs.Tensor2D);
    const y = by(tf.relu(tf.add(by(x as Tensor, 'first'), weights.bias as Tensor)), 'second');
    const sum = tf.sum(tf.square(x as Tensor));
    return { loss: tf.mean(tf.square(tf.sub(y, 1))), y, sum };
  },
  minimise: 'loss',
};

function steps(precision: 'float32' | 'bfloat16', count: number) {
  const program = Program.compile({
    weights: WEIGHTS,
    optimizer: OPTIMIZER,
    functions: { train },
    precision,
  });
  const outputs = Array.from({ length: count }, () =>
    program.run('train', { x: withoutPattern(ROWS * 32) }),
  );
  const weights = program.read();
  program.dispose();
  return { outputs, weights };
}

it('computes in bfloat16 what it computes in float32, to about two digits', () => {
  const [half, full] = [steps('bfloat16', 1), steps('float32', 1)];
  const y = ({ outputs }: typeof half) => outputs[0]?.y as Float32Array;
  expect(distance(y(half), y(full))).toBeLessThan(0.01);
  expect(distance(y(half), y(full))).toBeGreaterThan(1e-4);
  for (const name of Object.keys(WEIGHTS)) {
    const gradient = ({ weights }: typeof half) =>
      weights[`adam.m.${name}`]?.values as Float32Array;
    expect(distance(gradient(half), gradient(full)), name).toBeLessThan(0.02);
  }
});

it('keeps ops outside of any matmul in float32', () => {
  const sum = (precision: 'float32' | 'bfloat16') => steps(precision, 1).outputs[0]?.sum;
  expect(sum('bfloat16')).toEqual(sum('float32'));
});

it('keeps weights in float32, where steps add up that bfloat16 would round to zero', () => {
  const { outputs, weights } = steps('bfloat16', 50);
  const loss = (i: number) => outputs.at(i)?.loss?.[0] as number;
  expect(loss(-1)).toBeLessThan(loss(0));
  const moved = weights.first?.values.map((x, i) =>
    Math.abs(x - (WEIGHTS.first.values[i] as number)),
  );
  // A weight of 1 would need a step of 0.004 in bfloat16.
  expect(Math.max(...(moved ?? []))).toBeGreaterThan(0.003);
  expect(Math.max(...(moved ?? []))).toBeLessThan(0.01);
});
