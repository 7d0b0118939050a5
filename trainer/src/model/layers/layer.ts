import type { Layer } from '@greedy-infomax/crds';
import type { Weights } from '../../step/function.ts';
import type { Tensor } from '../../tf.ts';
import type { Parameter } from './parameters.ts';

/** Output of a layer, and a function that computes its mean over the positions of each patch: [patches, channels]. */
export interface WithMean {
  y: Tensor;
  mean: () => Tensor;
}

/** The computation of a layer. `LAYERS` of crds has its fields and its output shape. */
export interface LayerBuilder {
  /** Returns the parameters for an input of `channelsIn`; names start with `prefix`. */
  parameters(layer: Layer, channelsIn: number, prefix: string): Parameter[];
  /** x [patches, rows, cols, channels] -> [patches, rows', cols', channels']. */
  apply(layer: Layer, weights: Weights, prefix: string, x: Tensor): Tensor;
  /**
   * Fast variant of `apply` followed by a mean over positions, for layers whose mean has a cheaper gradient than y.
   * `meanOfX` computes the mean of x where that is cheaper than from x.
   */
  applyWithMean?(
    layer: Layer,
    weights: Weights,
    prefix: string,
    x: Tensor,
    meanOfX?: () => Tensor,
  ): WithMean;
}
