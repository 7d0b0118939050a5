import type { Layer } from '@greedy-infomax/crds';
import type { Weights } from '../step/function.ts';
import type { Tensor } from '../tf.ts';
import { encode, type encodeAndRepresent, encodeSequence, layerPrefix, toGrid } from './encoder.ts';
import type { WithMean } from './layers/layer.ts';
import { meanOverPositions } from './layers/pooled-conv.ts';
import { LAYER_BUILDERS } from './layers/registry.ts';

/**
 * Fast variant of `encodeAndRepresent`: computes the mean over positions from the input of the last convolution, so
 * that its gradient is a small matmul instead of two convolutions. `pooled-conv.test.ts` holds both together.
 */
export const encodeAndPool: typeof encodeAndRepresent = (layers, weights, x, grid) => {
  if (!grid) return encodeSequence(layers, weights, x);
  const last = layers.length - 1;
  const h =
    last === 1 && layers[0]?.type === 'conv'
      ? applyWithMean(0, layers, weights, x) // cheap, because the module's input needs no gradient
      : { y: encode(layers.slice(0, last), weights, x), mean: undefined };
  const { y, mean } = applyWithMean(last, layers, weights, h.y, h.mean);
  const context = toGrid(mean(), grid);
  return { z: y, representation: { context, target: context } };
};

function applyWithMean(
  index: number,
  layers: readonly Layer[],
  weights: Weights,
  x: Tensor,
  meanOfX?: () => Tensor,
): WithMean {
  const layer = layers[index] as Layer;
  const builder = LAYER_BUILDERS[layer.type];
  if (builder.applyWithMean) {
    return builder.applyWithMean(layer, weights, layerPrefix(index), x, meanOfX);
  }
  const y = builder.apply(layer, weights, layerPrefix(index), x);
  return { y, mean: () => meanOverPositions(y) };
}
