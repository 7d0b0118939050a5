import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { withZeros } from '../ops.ts';
import type { Convolution } from './convolution.ts';

/**
 * Convolutions as products for the places of the kernel: of what a place sees for all outputs. Places of a row that one
 * stride covers lie beside each other in memory, and make one product.
 */

/** The gradient of the kernel, from that of the outputs: [rows, cols, in, out]. */
export function gradientOfPlaces(convolution: Convolution, x: Tensor, dy: Tensor): Tensor {
  const { kernel, strides } = convolution;
  const [kernelRows, kernelCols, , channels] = kernel;
  const see = seenBy(convolution, x);
  const gradients = tf.reshape(dy, [-1, channels]) as Tfjs.Tensor2D;
  const products = Array.from({ length: kernelRows }, (_, row) =>
    Array.from({ length: Math.ceil(kernelCols / strides[1]) }, (_, block) => {
      const first = block * strides[1];
      const places = Math.min(strides[1], kernelCols - first);
      return tf.matMul(see(row, first, places), gradients, true); // [places * in, out]
    }),
  );
  return tf.reshape(tf.concat(products.flat()), kernel);
}

/** x [patches, rows, cols, in] and a kernel of one place, [1, 1, in, out] -> [patches, rows', cols', out]. */
export function convolveOnePlace(convolution: Convolution, x: Tensor, kernel: Tensor): Tensor {
  const [, , channelsIn, channels] = convolution.kernel;
  const seen = seenBy(convolution, x)(0, 0, 1);
  const y = tf.matMul(seen, tf.reshape(kernel, [channelsIn, channels]) as Tfjs.Tensor2D);
  return tf.reshape(y, convolution.output);
}

/** What places of the kernel see that lie in one row, and under one stride: [patches * outputs, places * channels]. */
function seenBy({ input, kernel, output, strides, padding }: Convolution, x: Tensor) {
  const [patches, rows, cols, channels] = input.shape;
  const [, outRows, outCols] = output;
  const [strideRows, strideCols] = strides;
  const along = (positions: number, axis: 0 | 1) => {
    const [before] = padding[axis];
    const needed = ((output[axis + 1] as number) - 1) * strides[axis] + kernel[axis];
    const blocks = Math.ceil(Math.max(needed, before + positions) / strides[axis]);
    const zeros = [before, blocks * strides[axis] - before - positions] as [number, number];
    return { blocks, zeros };
  };
  const [alongRows, alongCols] = [along(rows, 0), along(cols, 1)];
  const padded = withZeros(x, [[0, 0], alongRows.zeros, alongCols.zeros, [0, 0]]);
  // Positions at one place of a stride lie behind each other then, so that what places see is a slice.
  const split = tf.reshape(padded, [
    patches,
    alongRows.blocks,
    strideRows,
    alongCols.blocks,
    strideCols * channels,
  ]);
  return (row: number, col: number, places: number): Tfjs.Tensor2D => {
    const [block, within] = [Math.floor(row / strideRows), row % strideRows];
    const seen = tf.slice(
      split,
      [0, block, within, col / strideCols, 0],
      [patches, outRows, 1, outCols, places * channels],
    );
    return tf.reshape(seen, [-1, places * channels]) as Tfjs.Tensor2D;
  };
}
