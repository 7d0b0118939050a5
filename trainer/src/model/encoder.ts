import { LAYERS, type Layer, type PatchShape, targetLayers } from '@greedy-infomax/crds';
import type { Weights } from '../step/function.ts';
import { type Tensor, tf } from '../tf.ts';
import type { Parameter } from './layers/parameters.ts';
import { meanOverPositions } from './layers/pooled-conv.ts';
import { LAYER_BUILDERS } from './layers/registry.ts';
import type { Representation } from './representation.ts';

/** The encoder of one module: its layers, one after another. */

/** Prefix of the names of a layer's weights. */
export const layerPrefix = (index: number): string => `layers.${index}`;

/** Grid of patches that an image is cut into; null for a sequence. */
export type Grid = readonly [rows: number, cols: number] | null;

/** Returns the parameters of `layers` on patches of the shape `input`. */
export function encoderParameters(layers: readonly Layer[], input: PatchShape): Parameter[] {
  let shape = input;
  return layers.flatMap((layer, i) => {
    const parameters = LAYER_BUILDERS[layer.type].parameters(layer, shape[2], layerPrefix(i));
    shape = LAYERS[layer.type].apply(layer, shape).output;
    return parameters;
  });
}

/** x [samples * patches, rows, cols, channels] -> z [samples * patches, rows', cols', channels']. */
export const encode = (layers: readonly Layer[], weights: Weights, x: Tensor): Tensor =>
  encodeFrom(0, layers, weights, x);

/** Applies the layers from number `first` on. */
export const encodeFrom = (
  first: number,
  layers: readonly Layer[],
  weights: Weights,
  x: Tensor,
): Tensor =>
  layers
    .slice(first)
    .reduce(
      (h, layer, i) => LAYER_BUILDERS[layer.type].apply(layer, weights, layerPrefix(first + i), h),
      x,
    );

/**
 * Encodes x and returns the representation for the objective: patches pooled to a grid, or the steps of a sequence.
 * In a sequence, a gru layer at the end predicts its own input. `pooled-encoder.ts` computes the same faster.
 */
export function encodeAndRepresent(
  layers: readonly Layer[],
  weights: Weights,
  x: Tensor,
  grid: Grid,
): { z: Tensor; representation: Representation } {
  if (!grid) return encodeSequence(layers, weights, x);
  const z = encode(layers, weights, x);
  const context = pool(z, grid);
  return { z, representation: { context, target: context } };
}

/** Encodes a sequence: [samples, steps, 1, channels]. */
export function encodeSequence(
  layers: readonly Layer[],
  weights: Weights,
  x: Tensor,
): { z: Tensor; representation: Representation } {
  const before = targetLayers(layers);
  const target = encode(before, weights, x);
  const context = encodeFrom(before.length, layers, weights, target);
  return { z: context, representation: { context, target } };
}

/**
 * Pools each patch for the objective and the linear probe: the mean over its positions of the raw, signed z.
 * z [samples * patches, rows, cols, channels] -> [samples, grid rows, grid cols, channels].
 */
export const pool = (z: Tensor, grid: readonly [number, number]): Tensor =>
  toGrid(meanOverPositions(z), grid);

/** [samples * patches, channels] -> [samples, grid rows, grid cols, channels]. */
export const toGrid = (mean: Tensor, [rows, cols]: readonly [number, number]): Tensor =>
  tf.reshape(mean, [-1, rows, cols, mean.shape[1] as number]);
