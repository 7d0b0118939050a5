import { expect, test } from 'vitest';
import { tf } from '../../tf.ts';
import { conv1d } from './conv1d.ts';

const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(3 * i + 1));

const CHANNELS = 3;
const OUT = 2;

/** Convolves by definition: at each step the dot product of the window and the kernel, with zeros outside. */
function convolved(
  x: Float32Array,
  weight: Float32Array,
  [steps, kernel, stride, padding]: readonly [number, number, number, number],
): number[] {
  const length = Math.floor((steps + 2 * padding - kernel) / stride) + 1;
  return Array.from({ length: length * OUT }, (_, i) => {
    const [step, out] = [Math.floor(i / OUT), i % OUT];
    let sum = 0.5;
    for (let k = 0; k < kernel; k += 1) {
      const at = step * stride - padding + k;
      for (let c = 0; at >= 0 && at < steps && c < CHANNELS; c += 1) {
        sum += (x[at * CHANNELS + c] ?? 0) * (weight[(k * CHANNELS + c) * OUT + out] ?? 0);
      }
    }
    return sum;
  });
}

test.each([
  [17, 10, 5, 2],
  [16, 8, 4, 2],
  [15, 4, 2, 2],
  [14, 4, 2, 1],
  [4, 4, 4, 0],
  [9, 3, 1, 1],
  [9, 1, 1, 0],
  [10, 3, 2, 1],
  [3, 4, 2, 3],
] as const)('convolves %i steps with a kernel of %i, stride %i, padding %i', (...sizes) => {
  const [steps, kernel, stride, padding] = sizes;
  const x = values(steps * CHANNELS);
  const weight = values(kernel * CHANNELS * OUT);
  const weights = {
    'a.weight': tf.tensor(weight, [kernel, 1, CHANNELS, OUT]),
    'a.bias': tf.tensor1d([0.5, 0.5]),
  };
  const layer = { type: 'conv1d', channels: OUT, kernel, stride, padding } as const;
  const y = conv1d.apply(layer, weights, 'a', tf.tensor(x, [1, steps, 1, CHANNELS]));
  const expected = convolved(x, weight, sizes);
  expect(y.shape).toEqual([1, expected.length / OUT, 1, OUT]);
  for (const [i, value] of y.dataSync().entries()) expect(value).toBeCloseTo(expected[i] ?? NaN, 4);
});
