import { convDefaults } from '@greedy-infomax/crds';
import type { Weights } from '../../step/function.ts';
import { relu } from '../../step/ops.ts';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { conv2d } from './conv2d.ts';
import type { LayerBuilder } from './layer.ts';
import { convParameters, convWeights } from './parameters.ts';

/** A convolution with bias along the rows, the steps of a sequence. */
export const conv1d: LayerBuilder = {
  parameters: (layer, channelsIn, prefix) =>
    convParameters(prefix, [convDefaults(layer).kernel, 1], channelsIn, layer.channels),
  apply(layer, weights, prefix, x) {
    const { kernel, stride, padding, activation } = convDefaults(layer);
    const y =
      x.shape[2] === 1 && kernel % stride === 0
        ? convolveAsMatmul(x, weights, prefix, stride, padding)
        : conv2d(x, weights, prefix, [stride, 1], [padding, 0]);
    return activation === 'relu' ? relu(y) : y;
  },
};

/**
 * Computes the convolution as one matmul, for a kernel that is a multiple of the stride: steps are grouped by the
 * stride, so that a window is a few consecutive groups. x [samples, steps, 1, in] -> [samples, steps', 1, out].
 */
function convolveAsMatmul(
  x: Tensor,
  weights: Weights,
  prefix: string,
  stride: number,
  padding: number,
): Tensor {
  const { filter, bias } = convWeights(weights, prefix);
  const [kernel, , channelsIn, channels] = filter.shape;
  const [samples, steps] = x.shape as [number, number];
  const strides = kernel / stride;
  const out = Math.floor((steps + 2 * padding - kernel) / stride) + 1;
  const used = stride * (out + strides - 1);
  const padded = tf.pad(tf.reshape(x, [samples, steps, channelsIn]), [
    [0, 0],
    [padding, Math.max(0, used - steps - padding)],
    [0, 0],
  ]) as Tfjs.Tensor3D;
  const whole =
    padded.shape[1] === used ? padded : tf.slice(padded, [0, 0, 0], [-1, used, channelsIn]);
  const groups = tf.reshape(whole, [samples, used / stride, stride * channelsIn]) as Tfjs.Tensor3D;
  const seen =
    strides === 1
      ? groups
      : tf.concat(
          Array.from({ length: strides }, (_, i) =>
            tf.slice(groups, [0, i, 0], [-1, out, stride * channelsIn]),
          ),
          2,
        );
  const y = tf.matMul(
    tf.reshape(seen, [samples * out, kernel * channelsIn]) as Tfjs.Tensor2D,
    tf.reshape(filter, [kernel * channelsIn, channels]) as Tfjs.Tensor2D,
  );
  return tf.reshape(tf.add(y, bias), [samples, out, 1, channels]);
}
