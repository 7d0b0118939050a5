import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { withZeros } from '../ops.ts';
import { type Convolution, type Window, windowsAlong } from './convolution.ts';

/**
 * Convolutions with few outputs, as products of what the outputs see and of the kernel. Outputs whose windows the edges of
 * the map cut alike share a product: zeros around the map are not multiplied, and the gradient of the kernel is a product
 * of the same windows.
 */

/** Outputs along an axis, one after another. */
interface Run extends Omit<Window, 'begin'> {
  /** The first of them. */
  first: number;
  /** Where the window of each begins. */
  begins: number[];
}

function runsAlong(convolution: Convolution, axis: 0 | 1): Run[] {
  const runs: Run[] = [];
  for (const [first, { begin, place, positions }] of windowsAlong(convolution, axis).entries()) {
    const last = runs.at(-1);
    if (last?.place === place && last.positions === positions) last.begins.push(begin);
    else runs.push({ first, begins: [begin], place, positions });
  }
  return runs;
}

/** Whether each output sees something, as products of windows need. */
export const allSee = (convolution: Convolution): boolean =>
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
          [rows.place, cols.place, 0, 0],
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

/** The gradient of the kernel, from that of the outputs: [rows, cols, in, out]. */
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
      const zeros = ({ place, positions }: Run, places: number): [number, number] => [
        place,
        places - place - positions,
      ];
      const around = [zeros(rows, kernelRows), zeros(cols, kernelCols)];
      return withZeros(tf.reshape(product, shape), [...around, [0, 0], [0, 0]]);
    }),
  );
  return gradients.length === 1 ? (gradients[0] as Tensor) : tf.addN(gradients);
}

/** What outputs see, one behind the other for each patch: [patches * outputs, positions * channels]. */
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
