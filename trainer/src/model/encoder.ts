import { LAYERS, type Layer, type PatchShape } from '@greedy-infomax/crds';
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
  layers.reduce((h, layer, i) => LAYER_BUILDERS[layer.type].apply(layer, weights, prefix(i), h), x);

/**
 * What the objective and the readout see of a patch: the mean over its positions of the raw, signed z.
 * z [samples * patches, rows, cols, channels] -> [samples, grid rows, grid cols, channels].
 */
export const pool = (z: Tensor, [gridRows, gridCols]: readonly [number, number]): Tensor =>
  tf.reshape(tf.mean(z, [1, 2]), [-1, gridRows, gridCols, z.shape.at(-1) as number]);
