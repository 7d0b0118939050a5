import type { Weights } from '../../step/function.ts';
import type { Tfjs } from '../../tf.ts';

/** A weight of a layer, before it is initialised. */
export interface Parameter {
  name: string;
  shape: readonly number[];
  /** Number of inputs summed in one output: the bound of the initial values is 1 / sqrt(fanIn). */
  fanIn: number;
}

/** Returns the weight [rows, cols, in, out] and the bias [out] of a convolution. */
export function convParameters(
  prefix: string,
  kernel: number | readonly [rows: number, cols: number],
  channelsIn: number,
  channelsOut: number,
): Parameter[] {
  const [rows, cols] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
  const fanIn = rows * cols * channelsIn;
  return [
    { name: `${prefix}.weight`, shape: [rows, cols, channelsIn, channelsOut], fanIn },
    { name: `${prefix}.bias`, shape: [channelsOut], fanIn },
  ];
}

/** Returns the weight and the bias of a convolution as tensors. */
export const convWeights = (
  weights: Weights,
  prefix: string,
): { filter: Tfjs.Tensor4D; bias: Tfjs.Tensor1D } => ({
  filter: weights[`${prefix}.weight`] as Tfjs.Tensor4D,
  bias: weights[`${prefix}.bias`] as Tfjs.Tensor1D,
});
