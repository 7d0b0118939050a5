import { z } from 'zod';

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

/** Rows, columns, channels of what one patch has become. */
export type PatchShape = readonly [rows: number, cols: number, channels: number];

/** What a layer holds and does. */
export interface LayerCost {
  /** Values that are trained. */
  parameters: number;
  /** Multiplications, each with an addition, that one patch takes forward. */
  macs: number;
}

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

/** A layer that cannot take what comes in. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

function convolved(size: number, kernel: number, stride: number, padding: number): number {
  const out = Math.floor((size + 2 * padding - kernel) / stride) + 1;
  if (size + 2 * padding < kernel) {
    throw new ShapeError(
      `a filter of ${kernel} does not fit into ${size} positions with padding ${padding}; make the kernel smaller, the padding larger, or the strides before it smaller`,
    );
  }
  return out;
}

/** A convolution with bias that makes `output`; biases are additions alone. */
const convolution = (kernel: number, channelsIn: number, output: PatchShape): LayerCost => {
  const [rows, cols, channels] = output;
  const weights = kernel * kernel * channelsIn * channels;
  return { parameters: weights + channels, macs: rows * cols * weights };
};

const total = (costs: readonly LayerCost[]): LayerCost => ({
  parameters: costs.reduce((sum, { parameters }) => sum + parameters, 0),
  macs: costs.reduce((sum, { macs }) => sum + macs, 0),
});

/** One convolution of a block's body. */
interface BodyConvolution {
  kernel: number;
  /** Puts out `channels` times this. */
  expansion: number;
  /** Takes the block's stride. */
  strides?: true;
}

/** What the repeated blocks of `layer` hold and do; only the first strides. */
function blocksCost(
  body: readonly BodyConvolution[],
  { channels, stride = 1, repeat = 1 }: Layer,
  [rows, cols, channelsIn]: PatchShape,
): LayerCost {
  const costs: LayerCost[] = [];
  let shape: PatchShape = [rows, cols, channelsIn];
  for (let block = 0; block < repeat; block += 1) {
    const step = block === 0 ? stride : 1;
    const input = shape;
    for (const { kernel, expansion, strides } of body) {
      const by = strides ? step : 1;
      const padding = (kernel - 1) / 2;
      const output: PatchShape = [
        convolved(shape[0], kernel, by, padding),
        convolved(shape[1], kernel, by, padding),
        channels * expansion,
      ];
      costs.push(convolution(kernel, shape[2], output));
      shape = output;
    }
    // A shortcut that changes shape is a 1x1 convolution.
    if (step !== 1 || input[2] !== shape[2]) costs.push(convolution(1, input[2], shape));
  }
  return total(costs);
}

const blocks = (expansion: number, body: readonly BodyConvolution[]): LayerRow => ({
  fields: ['stride', 'repeat'],
  output: ({ channels, stride = 1 }, [rows, cols]) => [
    convolved(rows, 3, stride, 1),
    convolved(cols, 3, stride, 1),
    channels * expansion,
  ],
  cost: (layer, input) => blocksCost(body, layer, input),
  // With a projected shortcut both paths of the first block read relu(x); an identity shortcut reads x itself.
  readsRectified: ({ channels, stride = 1 }, inputChannels) =>
    stride !== 1 || inputChannels !== channels * expansion,
});

/** A layer is one row here and one file in trainer/src/model/layers. */
export const LAYERS: Record<LayerType, LayerRow> = {
  conv: {
    fields: ['kernel', 'stride', 'padding', 'activation'],
    output: (layer, [rows, cols]) => {
      const { kernel, stride, padding } = convDefaults(layer);
      return [
        convolved(rows, kernel, stride, padding),
        convolved(cols, kernel, stride, padding),
        layer.channels,
      ];
    },
    cost: (layer, input) =>
      convolution(convDefaults(layer).kernel, input[2], LAYERS.conv.output(layer, input)),
    readsRectified: () => false,
  },
  conv1d: {
    fields: ['kernel', 'stride', 'padding', 'activation'],
    output: (layer, [rows, cols]) => {
      const { kernel, stride, padding } = convDefaults(layer);
      return [convolved(rows, kernel, stride, padding), cols, layer.channels];
    },
    cost: (layer, input) => {
      const [rows, cols, channels] = LAYERS.conv1d.output(layer, input);
      const weights = convDefaults(layer).kernel * input[2] * channels;
      return { parameters: weights + channels, macs: rows * cols * weights };
    },
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
      return { parameters: weights + 6 * channels, macs: rows * weights };
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
  return total(
    layers.map((layer, i) =>
      LAYERS[layer.type].cost(layer, outputShape(layers.slice(0, i), input)),
    ),
  );
}
