import { z } from 'zod';
import {
  convolution,
  type LayerCost,
  type PatchShape,
  POINTWISE,
  ShapeError,
  type Steps,
} from './convolution.ts';

export { type LayerCost, type PatchShape, ShapeError } from './convolution.ts';

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
  /** The shape that comes out; throws a `ShapeError` when `input` is too small. */
  output(layer: Layer, input: PatchShape): PatchShape;
  /** For a patch of the shape `input`. The trainer's tests hold `parameters` against those that it makes. */
  cost(layer: Layer, input: PatchShape): LayerCost;
  /** Whether all that the layer computes depends on relu(input) alone: then a producer may send relu(x). */
  readsRectified(layer: Layer, inputChannels: number): boolean;
}

const sum = (costs: readonly LayerCost[], of: keyof LayerCost): number =>
  costs.reduce((all, cost) => all + cost[of], 0);

const total = (costs: readonly LayerCost[]): LayerCost => ({
  parameters: sum(costs, 'parameters'),
  macs: sum(costs, 'macs'),
  products: sum(costs, 'products'),
  inputProducts: sum(costs, 'inputProducts'),
});

/** One convolution of a block's body. */
interface BodyConvolution {
  kernel: number;
  /** Puts out `channels` times this. */
  expansion: number;
  /** Takes the block's stride. */
  strides?: true;
}

/** What the repeated blocks of `layer` put out, hold and do; only the first strides. */
function blocksOf(
  body: readonly BodyConvolution[],
  { channels, stride = 1, repeat = 1 }: Layer,
  input: PatchShape,
): { output: PatchShape; cost: LayerCost } {
  const costs: LayerCost[] = [];
  const add = (steps: Steps, from: PatchShape, to: number): PatchShape => {
    const { output, cost } = convolution([steps, steps], from, to);
    costs.push(from === input ? cost : { ...cost, inputProducts: 0 });
    return output;
  };
  let shape = input;
  for (let block = 0; block < repeat; block += 1) {
    const step = block === 0 ? stride : 1;
    const before = shape;
    for (const { kernel, expansion, strides } of body) {
      const by = strides ? step : 1;
      shape = add({ kernel, stride: by, padding: (kernel - 1) / 2 }, shape, channels * expansion);
    }
    // A shortcut that changes shape is a 1x1 convolution.
    if (step !== 1 || before[2] !== shape[2]) add({ ...POINTWISE, stride: step }, before, shape[2]);
  }
  return { output: shape, cost: total(costs) };
}

const blocks = (expansion: number, body: readonly BodyConvolution[]): LayerRow => ({
  fields: ['stride', 'repeat'],
  output: (layer, input) => blocksOf(body, layer, input).output,
  cost: (layer, input) => blocksOf(body, layer, input).cost,
  // With a projected shortcut both paths of the first block read relu(x); an identity shortcut reads x itself.
  readsRectified: ({ channels, stride = 1 }, inputChannels) =>
    stride !== 1 || inputChannels !== channels * expansion,
});

const ofConv = (layer: Layer, input: PatchShape) => {
  const steps = convDefaults(layer);
  return convolution([steps, steps], input, layer.channels);
};

const ofConv1d = (layer: Layer, input: PatchShape) =>
  convolution([convDefaults(layer), POINTWISE], input, layer.channels);

/** A layer is one row here and one file in trainer/src/model/layers. */
export const LAYERS: Record<LayerType, LayerRow> = {
  conv: {
    fields: ['kernel', 'stride', 'padding', 'activation'],
    output: (layer, input) => ofConv(layer, input).output,
    cost: (layer, input) => ofConv(layer, input).cost,
    readsRectified: () => false,
  },
  conv1d: {
    fields: ['kernel', 'stride', 'padding', 'activation'],
    output: (layer, input) => ofConv1d(layer, input).output,
    cost: (layer, input) => ofConv1d(layer, input).cost,
    readsRectified: () => false,
  },
  gru: {
    fields: ['bptt'],
    output: ({ channels }, [rows, cols]) => {
      if (cols !== 1) {
        throw new ShapeError(
          `a gru layer reads one step after another and takes a sequence alone, not maps with ${cols} columns`,
        );
      }
      return [rows, 1, channels];
    },
    // Three gates, each with matrices for the input and for the state, and two biases.
    cost: ({ channels }, [rows, , channelsIn]) => {
      const weights = 3 * channels * (channelsIn + channels);
      const products = rows * weights;
      return {
        parameters: weights + 6 * channels,
        macs: products,
        products,
        inputProducts: rows * 3 * channels * channelsIn,
      };
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

/** The shape after all `layers`. Throws a `ShapeError` that counts layers from 0. */
export function outputShape(layers: readonly Layer[], input: PatchShape): PatchShape {
  return layers.reduce<PatchShape>((shape, layer, index) => {
    try {
      return LAYERS[layer.type].output(layer, shape);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new ShapeError(
        `layers[${index}] (${layer.type}), which gets [${shape.join(', ')}]: ${error.message}`,
      );
    }
  }, input);
}

/** What all `layers` hold and do for a patch of the shape `input`. Throws a `ShapeError` as `outputShape` does. */
export function layersCost(layers: readonly Layer[], input: PatchShape): LayerCost {
  const costs = layers.map((layer, i) =>
    LAYERS[layer.type].cost(layer, outputShape(layers.slice(0, i), input)),
  );
  return { ...total(costs), inputProducts: costs[0]?.inputProducts ?? 0 };
}

/**
 * Multiplications that a training step takes for a patch: as many again as forward for the gradient of the weights,
 * and for that of what comes in, which the first layer of a module does not need.
 */
export function stepProducts(layers: readonly Layer[], input: PatchShape): number {
  const { products, inputProducts } = layersCost(layers, input);
  return 3 * products - inputProducts;
}
