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
      .enum(['conv', 'residual', 'bottleneck'])
      .describe(
        'conv: one convolution. residual: pre-activation block of two 3x3 convolutions. bottleneck: pre-activation block of 1x1, 3x3 and 1x1 convolutions with four times as many channels at its end. None normalises.',
      ),
    channels: width(
      'Channels that the layer puts out (bottleneck: of its inner convolutions; it puts out four times as many).',
      8192,
    ),
    kernel: width('conv: rows and columns of the filter. Default 3.', 31).optional(),
    stride: width(
      'Step of the convolution; of a repeated block, the step of the first. Default 1.',
      16,
    ).optional(),
    padding: z
      .int()
      .min(0)
      .max(15)
      .optional()
      .describe('conv: zeros added on each side. Default (kernel - 1) / 2, rounded down.'),
    activation: z
      .enum(['none', 'relu'])
      .optional()
      .describe('conv: what follows the convolution. Default none.'),
    repeat: width(
      'residual, bottleneck: how many such blocks follow one another. Default 1.',
      64,
    ).optional(),
  })
  .describe('One layer of a module.');

export type Layer = z.infer<typeof layerSchema>;
export type LayerType = Layer['type'];

/** Rows, columns, channels of what one patch has become. */
export type PatchShape = readonly [rows: number, cols: number, channels: number];

interface LayerRow {
  /** Fields beside `type` and `channels` that the layer takes. */
  fields: readonly (keyof Layer)[];
  /** The shape that comes out; throws a `ShapeError` when `input` is too small. */
  output(layer: Layer, input: PatchShape): PatchShape;
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
      `a filter of ${kernel} does not fit into ${size} pixels with padding ${padding}; make the kernel smaller, the padding larger, or the strides before it smaller`,
    );
  }
  return out;
}

const blocks = (expansion: number): LayerRow => ({
  fields: ['stride', 'repeat'],
  output: ({ channels, stride = 1 }, [rows, cols]) => [
    convolved(rows, 3, stride, 1),
    convolved(cols, 3, stride, 1),
    channels * expansion,
  ],
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
    readsRectified: () => false,
  },
  residual: blocks(1),
  bottleneck: blocks(4),
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
