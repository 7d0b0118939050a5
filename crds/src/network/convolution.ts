/** What a convolution makes of a shape, what it holds and what it does. */

/** Rows, columns, channels of what one patch has become. */
export type PatchShape = readonly [rows: number, cols: number, channels: number];

/** What a layer holds and does. */
export interface LayerCost {
  /** Values that are trained. */
  parameters: number;
  /** Multiplications, each with an addition, that one patch takes forward; those with padding's zeros count. */
  macs: number;
  /** The same without padding's zeros: what a machine has to do. */
  products: number;
  /** Of `products`, those with what comes into the layer. */
  inputProducts: number;
}

/** A layer that cannot take what comes in. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** How a filter moves along one axis. */
export interface Steps {
  kernel: number;
  stride: number;
  padding: number;
}

/** Along an axis of which each position is taken by itself. */
export const POINTWISE: Steps = { kernel: 1, stride: 1, padding: 0 };

/** What a layer makes of a shape. */
export interface Applied {
  output: PatchShape;
  cost: LayerCost;
}

/**
 * A convolution with bias that puts out `channels`; biases are additions alone. Throws a `ShapeError` where the
 * filter does not fit once.
 */
export function convolution(
  [alongRows, alongCols]: readonly [rows: Steps, cols: Steps],
  [rows, cols, channelsIn]: PatchShape,
  channels: number,
): Applied {
  const output: PatchShape = [convolved(rows, alongRows), convolved(cols, alongCols), channels];
  const weights = alongRows.kernel * alongCols.kernel * channelsIn * channels;
  const products = meetings(rows, alongRows) * meetings(cols, alongCols) * channelsIn * channels;
  return {
    output,
    cost: {
      parameters: weights + channels,
      macs: output[0] * output[1] * weights,
      products,
      inputProducts: products,
    },
  };
}

/** Positions that a filter puts out along an axis of `size`. */
function convolved(size: number, { kernel, stride, padding }: Steps): number {
  if (size + 2 * padding < kernel) {
    throw new ShapeError(
      `a filter of ${kernel} does not fit into ${size} positions with padding ${padding}; make the kernel smaller, the padding larger, or the strides before it smaller`,
    );
  }
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/**
 * How often a value of a filter meets a value, not padding, along an axis of `size`. Counts the positions of each value of the
 * filter by a formula, so the work depends on the kernel alone (at most 31).
 */
function meetings(size: number, steps: Steps): number {
  const { kernel, stride, padding } = steps;
  const last = convolved(size, steps) - 1;
  let count = 0;
  for (let at = 0; at < kernel; at += 1) {
    // At position i the value lies over i * stride - padding + at, which is from 0 to size - 1.
    const first = Math.max(0, Math.ceil((padding - at) / stride));
    const end = Math.min(last, Math.floor((size - 1 + padding - at) / stride));
    count += Math.max(0, end - first + 1);
  }
  return count;
}
