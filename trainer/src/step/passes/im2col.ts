import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { withZeros } from '../ops.ts';
import { type Convolution, type Window, windowsAlong } from './convolution.ts';

/**
 * Convolutions with few outputs as matmuls of windows and the kernel (im2col). Outputs whose windows are cut alike by the
 * edges of the map share a matmul: padding is not multiplied, and the gradient of the kernel uses the same windows.
 */

/** Consecutive outputs along an axis with windows that are cut alike. */
interface Run extends Omit<Window, 'begin'> {
  /** First of these outputs. */
  first: number;
  /** First input position of each window. */
  begins: number[];
}

function runsAlong(convolution: Convolution, axis: 0 | 1): Run[] {
  const runs: Run[] = [];
  for (const [first, { begin, kernelBegin, positions }] of windowsAlong(
    convolution,
    axis,
  ).entries()) {
    const last = runs.at(-1);
    if (last?.kernelBegin === kernelBegin && last.positions === positions) last.begins.push(begin);
    else runs.push({ first, begins: [begin], kernelBegin, positions });
  }
  return runs;
}

/** Reports whether every output reads at least one input position; matmuls of windows need that. */
export const allReadInput = (convolution: Convolution): boolean =>
  ([0, 1] as const).every((axis) =>
    windowsAlong(convolution, axis).every(({ positions }) => positions > 0),
  );

/** x [patches, rows, cols, in] and kernel [rows, cols, in, out] -> [patches, rows', cols', out]. */
export function convolve(convolution: Convolution, x: Tensor, kernel: Tensor): Tensor {
  const [patches, , , channels] = convolution.output;
  const [alongRows, alongCols] = [runsAlong(convolution, 0), runsAlong(convolution, 1)];
  const ofRows = alongRows.map((rows) =>
    tf.concat(
      alongCols.map((cols) => {
        const seen = windows(x, rows, cols);
        const part = tf.slice(
          kernel,
          [rows.kernelBegin, cols.kernelBegin, 0, 0],
          [rows.positions, cols.positions, -1, -1],
        );
        const y = tf.matMul(seen, tf.reshape(part, [-1, channels]) as Tfjs.Tensor2D);
        return tf.reshape(y, [patches, rows.begins.length, cols.begins.length, channels]);
      }),
      2,
    ),
  );
  return tf.concat(ofRows, 1);
}

/** Returns the gradient of the kernel, [rows, cols, in, out], from the gradient of the outputs. */
export function gradientOfWindows(convolution: Convolution, x: Tensor, dy: Tensor): Tensor {
  const [kernelRows, kernelCols, channelsIn, channels] = convolution.kernel;
  const [alongRows, alongCols] = [runsAlong(convolution, 0), runsAlong(convolution, 1)];
  const gradients = alongRows.flatMap((rows) =>
    alongCols.map((cols) => {
      const ofOutputs = tf.slice(
        dy,
        [0, rows.first, cols.first, 0],
        [-1, rows.begins.length, cols.begins.length, -1],
      );
      const product = tf.matMul(
        windows(x, rows, cols),
        tf.reshape(ofOutputs, [-1, channels]) as Tfjs.Tensor2D,
        true,
      );
      const shape = [rows.positions, cols.positions, channelsIn, channels];
      const zeros = ({ kernelBegin, positions }: Run, size: number): [number, number] => [
        kernelBegin,
        size - kernelBegin - positions,
      ];
      const around = [zeros(rows, kernelRows), zeros(cols, kernelCols)];
      return withZeros(tf.reshape(product, shape), [...around, [0, 0], [0, 0]]);
    }),
  );
  return gradients.length === 1 ? (gradients[0] as Tensor) : tf.addN(gradients);
}

/** Returns the windows of outputs: [patches * outputs, positions * channels]. */
function windows(x: Tensor, rows: Run, cols: Run): Tfjs.Tensor2D {
  const [patches, , , channels] = x.shape as [number, number, number, number];
  const values = rows.positions * cols.positions * channels;
  const seen = rows.begins.flatMap((row) =>
    cols.begins.map((col) => {
      const window = tf.slice(x, [0, row, col, 0], [-1, rows.positions, cols.positions, -1]);
      return tf.reshape(window, [patches, 1, values]);
    }),
  );
  return tf.reshape(tf.concat(seen, 1), [-1, values]) as Tfjs.Tensor2D;
}
