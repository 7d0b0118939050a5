import { describe, expect, it } from 'vitest';
import { conv2d } from '../../trainer/src/model/layers/conv2d.ts';
import { type StepFunction, size } from '../../trainer/src/step/function.ts';
import { type Tensor, tf } from '../../trainer/src/tf.ts';
import { operationsOf } from './arithmetic.ts';

const weight = (...shape: number[]) => ({ shape, values: new Float32Array(size(shape)) });

describe('the operations of a step', () => {
  it('are one multiplication and one addition per pair that a matmul sums', () => {
    const multiply: StepFunction = {
      inputs: { x: { shape: [2, 3], dtype: 'float32' } },
      build: ({ x }, { matrix }) => ({ y: tf.matMul(x as Tensor, matrix as Tensor) }),
    };
    expect(operationsOf(multiply, { matrix: weight(3, 5) })).toBe(2 * 2 * 3 * 5);
  });

  it('are those of each matrix of a stack, also if one is transposed', () => {
    const multiply: StepFunction = {
      inputs: { x: { shape: [7, 2, 3], dtype: 'float32' } },
      build: ({ x }) => ({ y: tf.matMul(x as Tensor, x as Tensor, false, true) }),
    };
    expect(operationsOf(multiply, {})).toBe(2 * 7 * 2 * 3 * 2);
  });

  it('are those of one matrix shared by a stack', () => {
    const multiply: StepFunction = {
      inputs: { x: { shape: [7, 2, 3], dtype: 'float32' } },
      build: ({ x }, { matrix }) => ({ y: tf.matMul(matrix as Tensor, x as Tensor) }),
    };
    expect(operationsOf(multiply, { matrix: weight(1, 5, 2) })).toBe(2 * 7 * 5 * 2 * 3);
  });

  const convolve = (stride: number, padding: number): StepFunction => ({
    inputs: { x: { shape: [4, 5, 5, 3], dtype: 'float32' } },
    build: ({ x }, weights) => ({
      loss: tf.mean(tf.square(conv2d(x as Tensor, weights, 'conv', stride, padding))),
    }),
    minimise: 'loss',
  });
  const weights = { 'conv.weight': weight(3, 3, 3, 6), 'conv.bias': weight(6) };

  it('are those of a convolution and its kernel gradient, since the input gradient is not needed', () => {
    const outputs = 2 * 2;
    const once = 2 * 4 * outputs * (3 * 3 * 3) * 6;
    expect(operationsOf(convolve(2, 0), weights)).toBe(2 * once);
  });

  it.each([
    [1, 5 * 3 - 2], // The first and the last output each see one zero.
    [2, 3 * 3 - 2],
  ])('leave out the zeros around a map, with a stride of %i', (stride, pairsOfAnAxis) => {
    const once = 2 * 4 * pairsOfAnAxis ** 2 * 3 * 6;
    expect(operationsOf(convolve(stride, 1), weights)).toBe(2 * once);
  });
});
