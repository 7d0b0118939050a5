import type { Weights } from '../../step/function.ts';
import { withZeros } from '../../step/ops.ts';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { convWeights } from './parameters.ts';

/** One number for rows and columns, or one for each. */
export type Along = number | readonly [rows: number, cols: number];

export const both = (n: Along): [number, number] => (typeof n === 'number' ? [n, n] : [n[0], n[1]]);

/**
 * Convolves x with the weight and bias named `prefix` and `padding` zeros on every side:
 * x [patches, rows, cols, in] -> [patches, rows', cols', out].
 */
export function conv2d(
  x: Tensor,
  weights: Weights,
  prefix: string,
  stride: Along,
  padding: Along,
): Tensor {
  const { filter, bias } = convWeights(weights, prefix);
  const strides = both(stride);
  const [rows, cols] = both(padding);
  // 'same' pads evenly at stride 1 only; with a stride TensorFlow puts the odd zero at the end.
  const same =
    Math.max(...strides) === 1 &&
    2 * rows === filter.shape[0] - 1 &&
    2 * cols === filter.shape[1] - 1;
  const zeros: [number, number][] = [
    [0, 0],
    [rows, rows],
    [cols, cols],
    [0, 0],
  ];
  const input = same ? x : withZeros(x, zeros);
  const y = tf.conv2d(input as Tfjs.Tensor4D, filter, strides, same ? 'same' : 'valid');
  return tf.add(y, bias);
}
