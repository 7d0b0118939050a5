import type { Weights } from '../../step/function.ts';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';

/**
 * x [patches, rows, cols, in] -> [patches, rows', cols', out], with the weight and bias named `prefix`,
 * and `padding` zeros on every side.
 */
export function conv2d(
  x: Tensor,
  weights: Weights,
  prefix: string,
  stride: number,
  padding: number,
): Tensor {
  const filter = weights[`${prefix}.weight`] as Tfjs.Tensor4D;
  const bias = weights[`${prefix}.bias`] as Tfjs.Tensor1D;
  // 'same' pads evenly at stride 1 only; with a stride TensorFlow would put the odd zero behind.
  const same = stride === 1 && 2 * padding === filter.shape[0] - 1;
  const input = same || padding === 0 ? x : padded(x, padding);
  const y = tf.conv2d(input as Tfjs.Tensor4D, filter, stride, same ? 'same' : 'valid');
  return tf.add(y, bias);
}

const padded = (x: Tensor, padding: number): Tensor =>
  tf.pad(x, [
    [0, 0],
    [padding, padding],
    [padding, padding],
    [0, 0],
  ]);
