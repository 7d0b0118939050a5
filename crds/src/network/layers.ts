import { z } from 'zod';
import { describeValues } from '../v1alpha1/describe.ts';
import {
  type Applied,
  convolution,
  type LayerCost,
  type PatchShape,
  POINTWISE,
  ShapeError,
  type Steps,
} from './convolution.ts';

export { type Applied, type LayerCost, type PatchShape, ShapeError } from './convolution.ts';

/**
 * Layers by type: the fields each uses, the shape of its output and its cost. trainer/src/model/layers computes them, one
 * file for each layer.
 */

/**
 * Schema of one layer. A CRD needs one structural schema, so it has the fields of all layer types. `LAYERS` defines
 * which of them a type uses; `unknownFields` finds the others.
 */
export const layerSchema = z
  .strictObject({
    type: z.enum(['conv', 'residual', 'bottleneck', 'conv1d', 'gru']).describe(
      describeValues('Type of the layer, which decides the fields that apply.', {
        conv: 'A convolution over rows and columns.',
        residual: 'Pre-activation residual blocks of two 3x3 convolutions, without normalization.',
        bottleneck:
          'Pre-activation residual blocks of 1x1, 3x3 and 1x1 convolutions, without normalization. The output has four times as many channels.',
        conv1d: 'A convolution along time.',
        gru: 'Gated recurrent units along time. Must be the last layer of its module. InfoNCE then predicts the input of this layer from its output.',
      }),
    ),
    channels: z
      .int()
      .min(1)
      .max(8192)
      .describe(
        'Number of output channels, or of units for gru. A bottleneck has four times as many output channels.',
      ),
    kernel: z
      .int()
      .min(1)
      .max(31)
      .optional()
      .describe(
        'Kernel size: rows and columns for conv, steps for conv1d. Used by conv and conv1d. Defaults to 3.',
      ),
    stride: z
      .int()
      .min(1)
      .max(16)
      .optional()
      .describe(
        'Stride of the convolution, or of the first block in a row. Not used by gru. Defaults to 1.',
      ),
    padding: z
      .int()
      .min(0)
      .max(15)
      .optional()
      .describe(
        'Number of zeros added on each side. Used by conv and conv1d. Defaults to (kernel - 1) / 2, rounded down.',
      ),
    activation: z
      .enum(['none', 'relu'])
      .optional()
      .describe(
        'Activation function after the convolution. Used by conv and conv1d. Defaults to none.',
      ),
    repeat: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('Number of blocks in a row. Used by residual and bottleneck. Defaults to 1.'),
    bptt: z
      .boolean()
      .optional()
      .describe(
        'Whether gradients propagate through time. If false, they end within each time step. Used by gru. Defaults to true.',
      ),
  })
  .describe('A layer of a module.');

export type Layer = z.infer<typeof layerSchema>;
export type LayerType = Layer['type'];

interface LayerRow {
  /** Fields besides `type` and `channels` that the layer uses. */
  fields: readonly (keyof Layer)[];
  /**
   * Returns the output shape and the cost for a patch of shape `input`, in a time that depends on neither `input` nor
   * `repeat`. Throws a `ShapeError` if `input` is too small. The trainer's tests compare `parameters` with its own.
   */
  apply(layer: Layer, input: PatchShape): Applied;
  /** Reports whether the output depends only on relu(input), so that a producer may send relu(x). */
  readsRectified(layer: Layer, inputChannels: number): boolean;
}

const NO_COST: LayerCost = { parameters: 0, macs: 0, effectiveMacs: 0, effectiveInputMacs: 0 };

/** Returns `all` plus `count` times `each`. */
const plus = (all: LayerCost, each: LayerCost, count = 1): LayerCost => ({
  parameters: all.parameters + count * each.parameters,
  macs: all.macs + count * each.macs,
  effectiveMacs: all.effectiveMacs + count * each.effectiveMacs,
  effectiveInputMacs: all.effectiveInputMacs + count * each.effectiveInputMacs,
});

/** Returns the cost of a layer that does not read the input of the module. */
const behindInput = (cost: LayerCost): LayerCost => ({ ...cost, effectiveInputMacs: 0 });

/** A convolution in the body of a residual block. */
interface BodyConvolution {
  kernel: number;
  /** Output channels as a multiple of the block's `channels`. */
  expansion: number;
  /** The convolution has the block's stride. */
  strides?: true;
}

/** Applies one residual block. A shortcut that changes the shape is a 1x1 convolution. */
function block(
  body: readonly BodyConvolution[],
  { channels, stride = 1 }: Layer,
  input: PatchShape,
): Applied {
  let output = input;
  let cost = NO_COST;
  for (const { kernel, expansion, strides } of body) {
    const steps = { kernel, stride: strides ? stride : 1, padding: (kernel - 1) / 2 };
    const isFirst = output === input;
    const applied = convolution([steps, steps], output, channels * expansion);
    cost = plus(cost, isFirst ? applied.cost : behindInput(applied.cost));
    output = applied.output;
  }
  if (stride !== 1 || input[2] !== output[2]) {
    const steps: Steps = { ...POINTWISE, stride };
    cost = plus(cost, convolution([steps, steps], input, output[2]).cost);
  }
  return { output, cost };
}

/** Applies the repeated blocks of `layer`. Only the first has a stride; all others keep the shape and cost the same. */
function applyBlocks(body: readonly BodyConvolution[], layer: Layer, input: PatchShape): Applied {
  const { repeat = 1 } = layer;
  const first = block(body, layer, input);
  if (repeat === 1) return first;
  const other = block(body, { ...layer, stride: 1 }, first.output);
  return { ...first, cost: plus(first.cost, behindInput(other.cost), repeat - 1) };
}

const blocks = (expansion: number, body: readonly BodyConvolution[]): LayerRow => ({
  fields: ['stride', 'repeat'],
  apply: (layer, input) => applyBlocks(body, layer, input),
  // With a projection shortcut, both paths of the first block read relu(x). An identity shortcut reads x.
  readsRectified: ({ channels, stride = 1 }, inputChannels) =>
    stride !== 1 || inputChannels !== channels * expansion,
});

/** Layers by type. A new layer adds a row here and a file in trainer/src/model/layers. */
export const LAYERS: Record<LayerType, LayerRow> = {
  conv: {
    fields: ['kernel', 'stride', 'padding', 'activation'],
    apply(layer, input) {
      const steps = convDefaults(layer);
      return convolution([steps, steps], input, layer.channels);
    },
    readsRectified: () => false,
  },
  conv1d: {
    fields: ['kernel', 'stride', 'padding', 'activation'],
    apply: (layer, input) => convolution([convDefaults(layer), POINTWISE], input, layer.channels),
    readsRectified: () => false,
  },
  gru: {
    fields: ['bptt'],
    apply({ channels }, [rows, cols, channelsIn]) {
      if (cols !== 1) {
        throw new ShapeError(
          `a gru layer reads sequences, not maps of ${cols} columns; use it only for speech`,
        );
      }
      // Each of the three gates has a matrix for the input, one for the state, and two biases.
      const weights = 3 * channels * (channelsIn + channels);
      const effectiveMacs = rows * weights;
      const cost = {
        parameters: weights + 6 * channels,
        macs: effectiveMacs,
        effectiveMacs,
        effectiveInputMacs: rows * 3 * channels * channelsIn,
      };
      return { output: [rows, 1, channels], cost };
    },
    readsRectified: () => false,
  },
  residual: blocks(1, [
    { kernel: 3, expansion: 1, strides: true },
    { kernel: 3, expansion: 1 },
  ]),
  bottleneck: blocks(4, [
    { kernel: 1, expansion: 1 },
    { kernel: 3, expansion: 1, strides: true },
    { kernel: 1, expansion: 4 },
  ]),
};

/** Returns the fields of a convolution with their defaults. */
export function convDefaults(layer: Layer) {
  const kernel = layer.kernel ?? 3;
  return {
    kernel,
    stride: layer.stride ?? 1,
    padding: layer.padding ?? Math.floor((kernel - 1) / 2),
    activation: layer.activation ?? ('none' as const),
  };
}

/** Returns the fields of `layer` that its type does not use. */
export function unknownFields(layer: Layer): string[] {
  const known: readonly string[] = ['type', 'channels', ...LAYERS[layer.type].fields];
  return Object.keys(layer).filter((field) => !known.includes(field));
}

/**
 * Returns the layers that compute the targets of InfoNCE: all except a final gru layer, whose output is the context.
 * Without a gru layer, targets and contexts are the same.
 */
export const targetLayers = (layers: readonly Layer[]): readonly Layer[] =>
  layers.at(-1)?.type === 'gru' ? layers.slice(0, -1) : layers;

/** Applies all `layers` in order. Throws a `ShapeError` with the index of the layer, from 0. */
export function applyLayers(layers: readonly Layer[], input: PatchShape): Applied {
  let output = input;
  let cost = NO_COST;
  for (const [index, layer] of layers.entries()) {
    try {
      const applied = LAYERS[layer.type].apply(layer, output);
      cost = plus(cost, index === 0 ? applied.cost : behindInput(applied.cost));
      output = applied.output;
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new ShapeError(
        `layers[${index}] (${layer.type}) with input [${output.join(', ')}]: ${error.message}`,
      );
    }
  }
  return { output, cost };
}

/** Returns the output shape of `layers`. Throws a `ShapeError` like `applyLayers`. */
export const outputShape = (layers: readonly Layer[], input: PatchShape): PatchShape =>
  applyLayers(layers, input).output;

/** Returns the cost of `layers` for a patch of shape `input`. Throws a `ShapeError` like `applyLayers`. */
export const layersCost = (layers: readonly Layer[], input: PatchShape): LayerCost =>
  applyLayers(layers, input).cost;

/**
 * Returns the multiplications of a training step for one patch: the forward pass, as many for the gradient of the weights,
 * and as many for the gradient of each input except the module's.
 */
export function stepMacs(layers: readonly Layer[], input: PatchShape): number {
  const { effectiveMacs, effectiveInputMacs } = layersCost(layers, input);
  return 3 * effectiveMacs - effectiveInputMacs;
}
