import type { Weights } from '../../step/function.ts';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { type Along, both } from './conv2d.ts';
import { convWeights } from './parameters.ts';

/** Means over the positions of a patch, which are all that the objective sees of it. */

/**
 * The mean over all positions of what `conv2d` gives: [patches, out].
 *
 * A convolution is linear, so its mean is its kernel applied once, to the mean of what each of the kernel's places sees.
 * Its gradient is then a small product of matrices; that of `conv2d` would be one vector repeated at every position, and
 * take two convolutions, which are two thirds of the work.
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
  const [places, positions] = [kernelRows * kernelCols, rows * cols];
  // Positions of the input are brought to places of the kernel, or the other way round: to what there are fewer of.
  const [inputs, kernels] =
    places <= positions
      ? [atPlaces(x, tf.tensor3d(shares, [1, places, positions])), filter]
      : [
          x,
          tf.matMul(
            tf.tensor3d(shares, [1, places, positions]),
            tf.reshape(filter, [1, places, channelsIn * channels]) as Tfjs.Tensor3D,
            true,
          ),
        ];
  const seen = Math.min(places, positions) * channelsIn;
  const y = tf.matMul(
    tf.reshape(inputs, [patches, seen]) as Tfjs.Tensor2D,
    tf.reshape(kernels, [seen, channels]) as Tfjs.Tensor2D,
  );
  return tf.add(y, bias);
}

/** x [patches, rows, cols, channels], shares [1, places, positions] -> [patches, places, channels] or [patches, places]. */
function atPlaces(x: Tensor, shares: Tfjs.Tensor3D): Tensor {
  const [patches, rows, cols, channels] = x.shape as [number, number, number, number];
  const positions = rows * cols;
  if (channels > 1) {
    return tf.matMul(shares, tf.reshape(x, [patches, positions, channels]) as Tfjs.Tensor3D);
  }
  // One product instead of one for each patch.
  const [, places] = shares.shape;
  const share = tf.reshape(shares, [places, positions]) as Tfjs.Tensor2D;
  return tf.matMul(tf.reshape(x, [patches, positions]) as Tfjs.Tensor2D, share, false, true);
}

/** The mean over all positions: [patches, rows, cols, channels] -> [patches, channels]. */
export function meanOverPositions(x: Tensor): Tensor {
  const [patches, rows, cols, channels] = x.shape as [number, number, number, number];
  const positions = rows * cols;
  // A product, since the gradient of tf.mean takes two passes over a tensor of the size of x.
  const mean = tf.matMul(
    tf.fill([1, 1, positions], 1 / positions) as Tfjs.Tensor3D,
    tf.reshape(x, [patches, positions, channels]) as Tfjs.Tensor3D,
  );
  return tf.reshape(mean, [patches, channels]);
}

/**
 * Along one axis, for each place of the kernel: which share of the outputs sees each of the positions there, which is
 * one output's or nothing.
 */
function sharesOf(positions: number, kernel: number, stride: number, padding: number): number[][] {
  const outputs = Math.floor((positions + 2 * padding - kernel) / stride) + 1;
  return Array.from({ length: kernel }, (_, place) =>
    Array.from({ length: positions }, (_, position) => {
      const output = (position + padding - place) / stride;
      return Number.isInteger(output) && output >= 0 && output < outputs ? 1 / outputs : 0;
    }),
  );
}
