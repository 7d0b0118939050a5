import type { Layer, LayerType } from '@greedy-infomax/crds';
import type { Weights } from '../../step/function.ts';
import type { Tensor } from '../../tf.ts';
import { bottleneck } from './bottleneck.ts';
import { conv } from './conv.ts';
import { conv1d } from './conv1d.ts';
import { gru } from './gru.ts';
import type { Parameter } from './parameters.ts';
import { residual } from './residual.ts';

/** What a layer makes, and how to come to its mean over the positions of each patch: [patches, channels]. */
export interface WithMean {
  y: Tensor;
  mean: () => Tensor;
}

/** How a layer computes. Its fields and its output shape stand in `LAYERS` of crds. */
export interface LayerBuilder {
  /** What it needs for an input of `channelsIn`; names start with `prefix`. */
  parameters(layer: Layer, channelsIn: number, prefix: string): Parameter[];
  /** x [patches, rows, cols, channels] -> [patches, rows', cols', channels']. */
  apply(layer: Layer, weights: Weights, prefix: string, x: Tensor): Tensor;
  /**
   * The same as y, and its mean over positions; for layers of which that has a cheaper gradient than y. `meanOfX`: that
   * of x, where there is a cheaper way to it than from x.
   */
  applyWithMean?(
    layer: Layer,
    weights: Weights,
    prefix: string,
    x: Tensor,
    meanOfX?: () => Tensor,
  ): WithMean;
}

/** A layer is one row here and one in `LAYERS`. */
export const LAYER_BUILDERS: Record<LayerType, LayerBuilder> = {
  conv,
  residual,
  bottleneck,
  conv1d,
  gru,
};
