import type { Weights } from '../../step/function.ts';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { type Along, both } from './conv2d.ts';
import { convWeights } from './parameters.ts';

/** Means over the positions of a patch: the objective sees nothing else of it. */

/**
 * Returns the mean of `conv2d` over all positions: [patches, out].
 *
 * A convolution is linear, so its mean is its kernel applied once, to the mean input of each kernel position. The
 * gradient is then a small matmul. The gradient of `conv2d` would be one vector repeated at every position and take two
 * convolutions, two thirds of the work.
 */
export function meanOfConv2d(
  x: Tensor,
  weights: Weights,
  prefix: string,
  stride: Along,
  padding: Along,
): Tensor {
  const { filter, bias } = convWeights(weights, prefix);
  const [patches, rows, cols] = x.shape as [number, number, number, number];
  const [kernelRows, kernelCols, channelsIn, channels] = filter.shape;
  const [strides, paddings] = [both(stride), both(padding)];
  const alongRows = sharesOf(rows, kernelRows, strides[0], paddings[0]);
  const alongCols = sharesOf(cols, kernelCols, strides[1], paddings[1]);
  const shares = alongRows.flatMap((r) =>
    alongCols.flatMap((c) => r.flatMap((atRow) => c.map((atCol) => atRow * atCol))),
  );
  const [kernelPositions, positions] = [kernelRows * kernelCols, rows * cols];
  // Maps input positions to kernel positions, or the other way round: to the smaller of the two.
  const [inputs, kernels] =
    kernelPositions <= positions
      ? [atKernelPositions(x, tf.tensor3d(shares, [1, kernelPositions, positions])), filter]
      : [
          x,
          tf.matMul(
            tf.tensor3d(shares, [1, kernelPositions, positions]),
            tf.reshape(filter, [1, kernelPositions, channelsIn * channels]) as Tfjs.Tensor3D,
            true,
          ),
        ];
  const seen = Math.min(kernelPositions, positions) * channelsIn;
  const y = tf.matMul(
    tf.reshape(inputs, [patches, seen]) as Tfjs.Tensor2D,
    tf.reshape(kernels, [seen, channels]) as Tfjs.Tensor2D,
  );
  return tf.add(y, bias);
}

/**
 * Averages the input for each kernel position: x [patches, rows, cols, channels], shares [1, kernel positions, positions]
 * -> [patches, kernel positions, channels], without the last axis for one channel.
 */
function atKernelPositions(x: Tensor, shares: Tfjs.Tensor3D): Tensor {
  const [patches, rows, cols, channels] = x.shape as [number, number, number, number];
  const positions = rows * cols;
  if (channels > 1) {
    return tf.matMul(shares, tf.reshape(x, [patches, positions, channels]) as Tfjs.Tensor3D);
  }
  // One matmul instead of one per patch.
  const [, kernelPositions] = shares.shape;
  const share = tf.reshape(shares, [kernelPositions, positions]) as Tfjs.Tensor2D;
  return tf.matMul(tf.reshape(x, [patches, positions]) as Tfjs.Tensor2D, share, false, true);
}

/** Returns the mean over all positions: [patches, rows, cols, channels] -> [patches, channels]. */
export function meanOverPositions(x: Tensor): Tensor {
  const [patches, rows, cols, channels] = x.shape as [number, number, number, number];
  const positions = rows * cols;
  // A matmul, because the gradient of tf.mean takes two passes over a tensor of the size of x.
  const mean = tf.matMul(
    tf.fill([1, 1, positions], 1 / positions) as Tfjs.Tensor3D,
    tf.reshape(x, [patches, positions, channels]) as Tfjs.Tensor3D,
  );
  return tf.reshape(mean, [patches, channels]);
}

/** Returns, along one axis and for each kernel position, the share of outputs that read each input position: 1 / outputs or 0. */
function sharesOf(positions: number, kernel: number, stride: number, padding: number): number[][] {
  const outputs = Math.floor((positions + 2 * padding - kernel) / stride) + 1;
  return Array.from({ length: kernel }, (_, offset) =>
    Array.from({ length: positions }, (_, position) => {
      const output = (position + padding - offset) / stride;
      return Number.isInteger(output) && output >= 0 && output < outputs ? 1 / outputs : 0;
    }),
  );
}
