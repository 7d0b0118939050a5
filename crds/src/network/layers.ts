import { z } from 'zod';
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
 * The layers by name: which fields each takes and what shape it makes of what comes in. How a layer
 * computes stands in trainer/src/model/layers, one file a layer.
 */

const width = (what: string, max: number) => z.int().min(1).max(max).describe(what);

/**
 * One layer. Kubernetes wants one structural schema, so the fields of all layers stand side by side;
 * `LAYERS` says which of them a type takes, and `checkLayer` refuses the others.
 */
export const layerSchema = z
  .strictObject({
    type: z
      .enum(['conv', 'residual', 'bottleneck', 'conv1d', 'gru'])
      .describe(
        'conv: one convolution. residual: pre-activation block of two 3x3 convolutions. bottleneck: pre-activation block of 1x1, 3x3 and 1x1 convolutions with four times as many channels at its end. conv1d: one convolution along time. gru: gated recurrent units along time, at the end of a module; InfoNCE then predicts what they read. None normalises.',
      ),
    channels: width(
      'Channels that the layer puts out (bottleneck: of its inner convolutions; it puts out four times as many; gru: its units).',
      8192,
    ),
    kernel: width(
      'conv: rows and columns of the filter; conv1d: its steps. Default 3.',
      31,
    ).optional(),
    stride: width(
      'Step of the convolution; of a repeated block, the step of the first. Default 1.',
      16,
    ).optional(),
    padding: z
      .int()
      .min(0)
      .max(15)
      .optional()
      .describe('conv, conv1d: zeros added on each side. Default (kernel - 1) / 2, rounded down.'),
    activation: z
      .enum(['none', 'relu'])
      .optional()
      .describe('conv, conv1d: what follows the convolution. Default none.'),
    repeat: width(
      'residual, bottleneck: how many such blocks follow one another. Default 1.',
      64,
    ).optional(),
    bptt: z
      .boolean()
      .optional()
      .describe(
        'gru: propagate gradients through time; false: a step learns from itself alone. Default true.',
      ),
  })
  .describe('One layer of a module.');

export type Layer = z.infer<typeof layerSchema>;
export type LayerType = Layer['type'];

interface LayerRow {
  /** Fields beside `type` and `channels` that the layer takes. */
  fields: readonly (keyof Layer)[];
  /**
   * Shape behind the layer and its cost for a patch of the shape `input`, in a time that depends on neither `input` nor
   * `repeat`. Throws a `ShapeError` when `input` is too small. The trainer's tests compare `parameters` with its own.
   */
  apply(layer: Layer, input: PatchShape): Applied;
  /** Whether all that the layer computes depends on relu(input) alone: then a producer may send relu(x). */
  readsRectified(layer: Layer, inputChannels: number): boolean;
}

const NO_COST: LayerCost = { parameters: 0, macs: 0, products: 0, inputProducts: 0 };

/** `count` times `each` more than `all`. */
const plus = (all: LayerCost, each: LayerCost, count = 1): LayerCost => ({
  parameters: all.parameters + count * each.parameters,
  macs: all.macs + count * each.macs,
  products: all.products + count * each.products,
  inputProducts: all.inputProducts + count * each.inputProducts,
});

const behindInput = (cost: LayerCost): LayerCost => ({ ...cost, inputProducts: 0 });

/** One convolution of a block's body. */
interface BodyConvolution {
  kernel: number;
  /** Puts out `channels` times this. */
  expansion: number;
  /** Takes the block's stride. */
  strides?: true;
}

/** One block. A shortcut that changes the shape is a 1x1 convolution. */
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

/** The repeated blocks of `layer`. Only the first strides, so all others keep the shape and cost the same. */
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
  // With a projected shortcut both paths of the first block read relu(x); an identity shortcut reads x itself.
  readsRectified: ({ channels, stride = 1 }, inputChannels) =>
    stride !== 1 || inputChannels !== channels * expansion,
});

/** A layer is one row here and one file in trainer/src/model/layers. */
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
          `a gru layer reads a sequence, not maps with ${cols} columns; use it behind speech alone`,
        );
      }
      // Three gates, each with matrices for the input and for the state, and two biases.
      const weights = 3 * channels * (channelsIn + channels);
      const products = rows * weights;
      const cost = {
        parameters: weights + 6 * channels,
        macs: products,
        products,
        inputProducts: rows * 3 * channels * channelsIn,
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

/** A convolution's fields with their defaults filled in. */
export function convDefaults(layer: Layer) {
  const kernel = layer.kernel ?? 3;
  return {
    kernel,
    stride: layer.stride ?? 1,
    padding: layer.padding ?? Math.floor((kernel - 1) / 2),
    activation: layer.activation ?? ('none' as const),
  };
}

/** The fields that `layer` names but its type does not take. */
export function unknownFields(layer: Layer): string[] {
  const known: readonly string[] = ['type', 'channels', ...LAYERS[layer.type].fields];
  return Object.keys(layer).filter((field) => !known.includes(field));
}

/**
 * Layers up to the one that ends a module by summing up what came before: InfoNCE predicts their output from
 * that of all layers. Without such a layer both are the same.
 */
export const targetLayers = (layers: readonly Layer[]): readonly Layer[] =>
  layers.at(-1)?.type === 'gru' ? layers.slice(0, -1) : layers;

/** All `layers`, one after another. Throws a `ShapeError` that counts layers from 0. */
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
        `layers[${index}] (${layer.type}), which gets [${output.join(', ')}]: ${error.message}`,
      );
    }
  }
  return { output, cost };
}

/** The shape behind all `layers`. Throws a `ShapeError` as `applyLayers` does. */
export const outputShape = (layers: readonly Layer[], input: PatchShape): PatchShape =>
  applyLayers(layers, input).output;

/** The cost of all `layers` for a patch of the shape `input`. Throws a `ShapeError` as `applyLayers` does. */
export const layersCost = (layers: readonly Layer[], input: PatchShape): LayerCost =>
  applyLayers(layers, input).cost;

/**
 * Multiplications that a training step takes for a patch: as many again as forward for the gradient of the weights,
 * and for that of what comes in, which the first layer of a module does not need.
 */
export function stepProducts(layers: readonly Layer[], input: PatchShape): number {
  const { products, inputProducts } = layersCost(layers, input);
  return 3 * products - inputProducts;
}
