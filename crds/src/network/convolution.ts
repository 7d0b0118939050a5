/** Output shape, parameters and operations of a convolution. */

/** Shape of one patch between layers. */
export type PatchShape = readonly [rows: number, cols: number, channels: number];

/** Parameters and operations of a layer. */
export interface LayerCost {
  /** Number of trained values. */
  parameters: number;
  /** Multiply-accumulate operations of the forward pass of one patch, including those with zeros of the padding. */
  macs: number;
  /** Multiply-accumulate operations without those with zeros of the padding: the work of the machine. */
  effectiveMacs: number;
  /** Part of `effectiveMacs` that multiplies the input of the layer. */
  effectiveInputMacs: number;
}

/** Thrown if a layer cannot process the shape of its input. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** Kernel, stride and padding along one axis. */
export interface Steps {
  kernel: number;
  stride: number;
  padding: number;
}

/** Processes each position of an axis separately. */
export const POINTWISE: Steps = { kernel: 1, stride: 1, padding: 0 };

/** Output shape and cost of a layer for one input shape. */
export interface Applied {
  output: PatchShape;
  cost: LayerCost;
}

/**
 * Returns shape and cost of a convolution with bias and `channels` output channels. Biases add no multiplications. Throws
 * a `ShapeError` if the kernel does not fit.
 */
export function convolution(
  [alongRows, alongCols]: readonly [rows: Steps, cols: Steps],
  [rows, cols, channelsIn]: PatchShape,
  channels: number,
): Applied {
  const output: PatchShape = [convolved(rows, alongRows), convolved(cols, alongCols), channels];
  const weights = alongRows.kernel * alongCols.kernel * channelsIn * channels;
  const effectiveMacs = pairs(rows, alongRows) * pairs(cols, alongCols) * channelsIn * channels;
  return {
    output,
    cost: {
      parameters: weights + channels,
      macs: output[0] * output[1] * weights,
      effectiveMacs,
      effectiveInputMacs: effectiveMacs,
    },
  };
}

/** Returns the number of output positions along an axis of `size`. */
function convolved(size: number, { kernel, stride, padding }: Steps): number {
  if (size + 2 * padding < kernel) {
    throw new ShapeError(
      `a kernel of ${kernel} does not fit into ${size} positions with padding ${padding}; use a smaller kernel, more padding, or smaller strides before it`,
    );
  }
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/**
 * Returns how many pairs of a kernel value and an input value there are along an axis of `size`, padding excluded. Counts the
 * positions of each kernel value by a formula, so that the time depends only on the kernel (at most 31).
 */
function pairs(size: number, steps: Steps): number {
  const { kernel, stride, padding } = steps;
  const last = convolved(size, steps) - 1;
  let count = 0;
  for (let at = 0; at < kernel; at += 1) {
    // At output position i, the kernel value is at input i * stride - padding + at, which must be from 0 to size - 1.
    const first = Math.max(0, Math.ceil((padding - at) / stride));
    const end = Math.min(last, Math.floor((size - 1 + padding - at) / stride));
    count += Math.max(0, end - first + 1);
  }
  return count;
}
