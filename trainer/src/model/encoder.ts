import { LAYERS, type Layer, type PatchShape, targetLayers } from '@greedy-infomax/crds';
import type { Representation } from '../objective/objective.ts';
import type { Weights } from '../step/function.ts';
import { type Tensor, tf } from '../tf.ts';
import type { Parameter } from './layers/parameters.ts';
import { LAYER_BUILDERS } from './layers.ts';

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

/** The same, with what the objective is to predict: the input of a gru layer at the end, else z itself. */
export function encodeWithTarget(
  layers: readonly Layer[],
  weights: Weights,
  x: Tensor,
): { z: Tensor; target: Tensor } {
  const before = targetLayers(layers);
  const target = encodeFrom(0, before, weights, x);
  return { z: encodeFrom(before.length, layers, weights, target), target };
}

/**
 * What the objective and the readout see of a patch: the mean over its positions of the raw, signed z.
 * z [samples * patches, rows, cols, channels] -> [samples, grid rows, grid cols, channels].
 */
export const pool = (z: Tensor, [gridRows, gridCols]: readonly [number, number]): Tensor =>
  tf.reshape(tf.mean(z, [1, 2]), [-1, gridRows, gridCols, z.shape.at(-1) as number]);

/** What the objective sees: patches pooled to a grid, or, without one, the steps of a sequence as they are. */
export function represent(
  { z, target }: { z: Tensor; target: Tensor },
  grid: readonly [number, number] | null,
): Representation {
  const context = grid ? pool(z, grid) : z;
  return { context, target: target === z ? context : grid ? pool(target, grid) : target };
}
