import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { withZeros } from '../ops.ts';
import type { Convolution } from './convolution.ts';

/**
 * Convolutions as one matmul per kernel position, of its inputs for all outputs. Kernel positions of a row under one
 * stride are adjacent in memory and share a matmul.
 */

/** Returns the gradient of the kernel, [rows, cols, in, out], from the gradient of the outputs. */
export function gradientByKernelPositions(convolution: Convolution, x: Tensor, dy: Tensor): Tensor {
  const { kernel, strides } = convolution;
  const [kernelRows, kernelCols, , channels] = kernel;
  const inputsAt = inputsOf(convolution, x);
  const gradients = tf.reshape(dy, [-1, channels]) as Tfjs.Tensor2D;
  const matmuls = Array.from({ length: kernelRows }, (_, row) =>
    Array.from({ length: Math.ceil(kernelCols / strides[1]) }, (_, block) => {
      const first = block * strides[1];
      const count = Math.min(strides[1], kernelCols - first);
      return tf.matMul(inputsAt(row, first, count), gradients, true); // [count * in, out]
    }),
  );
  return tf.reshape(tf.concat(matmuls.flat()), kernel);
}

/** Convolves with a 1x1 kernel: x [patches, rows, cols, in], kernel [1, 1, in, out] -> [patches, rows', cols', out]. */
export function convolvePointwise(convolution: Convolution, x: Tensor, kernel: Tensor): Tensor {
  const [, , channelsIn, channels] = convolution.kernel;
  const seen = inputsOf(convolution, x)(0, 0, 1);
  const y = tf.matMul(seen, tf.reshape(kernel, [channelsIn, channels]) as Tfjs.Tensor2D);
  return tf.reshape(y, convolution.output);
}

/** Returns a function for the inputs of kernel positions in one row and under one stride: [patches * outputs, positions * channels]. */
function inputsOf({ input, kernel, output, strides, padding }: Convolution, x: Tensor) {
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
  // Positions with the same offset in a stride become adjacent, so the inputs of kernel positions are a slice.
  const split = tf.reshape(padded, [
    patches,
    alongRows.blocks,
    strideRows,
    alongCols.blocks,
    strideCols * channels,
  ]);
  return (row: number, col: number, count: number): Tfjs.Tensor2D => {
    const [block, within] = [Math.floor(row / strideRows), row % strideRows];
    const seen = tf.slice(
      split,
      [0, block, within, col / strideCols, 0],
      [patches, outRows, 1, outCols, count * channels],
    );
    return tf.reshape(seen, [-1, count * channels]) as Tfjs.Tensor2D;
  };
}
