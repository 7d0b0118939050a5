import { LAYERS, type Layer, type PatchShape, targetLayers } from '@greedy-infomax/crds';
import type { Representation } from '../objective/registry.ts';
import type { Weights } from '../step/function.ts';
import { type Tensor, tf } from '../tf.ts';
import type { Parameter } from './layers/parameters.ts';
import { meanOverPositions } from './layers/pooled-conv.ts';
import { LAYER_BUILDERS, type WithMean } from './layers/registry.ts';

/** The encoder of one module: its layers, one after another. */

const prefix = (index: number): string => `layers.${index}`;

/** The parameters of `layers` on patches of the shape `input`. */
export function encoderParameters(layers: readonly Layer[], input: PatchShape): Parameter[] {
  let shape = input;
  return layers.flatMap((layer, i) => {
    const parameters = LAYER_BUILDERS[layer.type].parameters(layer, shape[2], prefix(i));
    shape = LAYERS[layer.type].output(layer, shape);
    return parameters;
  });
}

/** x [samples * patches, rows, cols, channels] -> z [samples * patches, rows', cols', channels']. */
export const encode = (layers: readonly Layer[], weights: Weights, x: Tensor): Tensor =>
  encodeFrom(0, layers, weights, x);

const encodeFrom = (first: number, layers: readonly Layer[], weights: Weights, x: Tensor): Tensor =>
  layers
    .slice(first)
    .reduce(
      (h, layer, i) => LAYER_BUILDERS[layer.type].apply(layer, weights, prefix(first + i), h),
      x,
    );

/**
 * The same, with what the objective sees of it: patches pooled to a grid, or, without one, the steps of a sequence as
 * they are, of which a gru layer at the end predicts its input. No gradient comes from z where there is a grid.
 */
export function encodeAndRepresent(
  layers: readonly Layer[],
  weights: Weights,
  x: Tensor,
  grid: readonly [rows: number, cols: number] | null,
): { z: Tensor; representation: Representation } {
  if (grid) {
    const last = layers.length - 1;
    const h =
      last === 1 && layers[0]?.type === 'conv'
        ? applyWithMean(0, layers, weights, x) // its mean is cheap, as nobody wants a gradient of x
        : { y: encode(layers.slice(0, last), weights, x), mean: undefined };
    const { y, mean } = applyWithMean(last, layers, weights, h.y, h.mean);
    const context = toGrid(mean(), grid);
    return { z: y, representation: { context, target: context } };
  }
  const before = targetLayers(layers);
  const target = encode(before, weights, x);
  const context = encodeFrom(before.length, layers, weights, target);
  return { z: context, representation: { context, target } };
}

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
    return builder.applyWithMean(layer, weights, prefix(index), x, meanOfX);
  }
  const y = builder.apply(layer, weights, prefix(index), x);
  return { y, mean: () => meanOverPositions(y) };
}

/**
 * What the objective and the readout see of a patch: the mean over its positions of the raw, signed z.
 * z [samples * patches, rows, cols, channels] -> [samples, grid rows, grid cols, channels].
 */
export const pool = (z: Tensor, grid: readonly [number, number]): Tensor =>
  toGrid(meanOverPositions(z), grid);

/** [samples * patches, channels] -> [samples, grid rows, grid cols, channels]. */
const toGrid = (mean: Tensor, [rows, cols]: readonly [number, number]): Tensor =>
  tf.reshape(mean, [-1, rows, cols, mean.shape[1] as number]);
