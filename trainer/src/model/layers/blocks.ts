import type { Layer } from '@greedy-infomax/crds';
import type { Weights } from '../../step/function.ts';
import { relu } from '../../step/ops.ts';
import { type Tensor, tf } from '../../tf.ts';
import { conv2d } from './conv2d.ts';
import type { LayerBuilder, WithMean } from './layer.ts';
import { convParameters, type Parameter } from './parameters.ts';
import { meanOfConv2d, meanOverPositions } from './pooled-conv.ts';

/** Residual block: two 3x3 convolutions; the first has the stride. */
export const residual = preActivationBlocks(({ channels }, stride) => [
  { name: 'conv1', kernel: 3, channels, stride },
  { name: 'conv2', kernel: 3, channels, stride: 1 },
]);

/** Bottleneck block: 1x1, 3x3 and 1x1 convolutions; the 3x3 has the stride, the last has four times the channels. */
export const bottleneck = preActivationBlocks(({ channels }, stride) => [
  { name: 'conv1', kernel: 1, channels, stride: 1 },
  { name: 'conv2', kernel: 3, channels, stride },
  { name: 'conv3', kernel: 1, channels: 4 * channels, stride: 1 },
]);

/** One convolution of a block's body. */
interface BodyConv {
  name: string;
  kernel: number;
  channels: number;
  stride: number;
}

/**
 * Builds a layer of pre-activation blocks without normalisation (He et al. 2016, as Greedy InfoMax uses them): each
 * convolution of the body follows a relu. The shortcut is the input, or a 1x1 convolution of relu(input) where the
 * shape changes.
 */
function preActivationBlocks(
  body: (layer: Layer, stride: number) => readonly BodyConv[],
): LayerBuilder {
  /** Returns `repeat` blocks; only the first has the layer's stride. */
  const blocksOf = (layer: Layer, channelsIn: number, prefix: string) =>
    Array.from({ length: layer.repeat ?? 1 }, (_, i) => {
      const stride = i === 0 ? (layer.stride ?? 1) : 1;
      const convs = body(layer, stride);
      const out = (convs.at(-1) as BodyConv).channels;
      const input = i === 0 ? channelsIn : out;
      return {
        prefix: `${prefix}.${i}`,
        stride,
        convs,
        input,
        out,
        projects: stride !== 1 || input !== out,
      };
    });

  return {
    parameters: (layer, channelsIn, prefix) =>
      blocksOf(layer, channelsIn, prefix).flatMap((block) => {
        const parameters: Parameter[] = [];
        let channels = block.input;
        for (const c of block.convs) {
          parameters.push(
            ...convParameters(`${block.prefix}.${c.name}`, c.kernel, channels, c.channels),
          );
          channels = c.channels;
        }
        if (block.projects) {
          parameters.push(...convParameters(`${block.prefix}.shortcut`, 1, block.input, block.out));
        }
        return parameters;
      }),
    apply: (layer, weights, prefix, x) =>
      blocksOf(layer, x.shape.at(-1) as number, prefix).reduce(
        (input, block) => applyBlock(block, weights, input).y,
        x,
      ),
    applyWithMean(layer, weights, prefix, x, meanOfX) {
      const blocks = blocksOf(layer, x.shape.at(-1) as number, prefix);
      const input = blocks.slice(0, -1).reduce((h, block) => applyBlock(block, weights, h).y, x);
      return applyBlock(blocks.at(-1) as Block, weights, input, input === x ? meanOfX : undefined);
    },
  };
}

interface Block {
  prefix: string;
  stride: number;
  convs: readonly BodyConv[];
  projects: boolean;
}

/** Computes the output of a block; the mean over positions is computed only if the caller asks for it. */
function applyBlock(
  { prefix, stride, convs, projects }: Block,
  weights: Weights,
  x: Tensor,
  meanOfX = () => meanOverPositions(x),
): WithMean {
  const activated = relu(x);
  const last = convs.at(-1) as BodyConv;
  const h = convs
    .slice(0, -1)
    .reduce(
      (h, { name, kernel, stride }) =>
        relu(conv2d(h, weights, `${prefix}.${name}`, stride, (kernel - 1) / 2)),
      activated,
    );
  const body = [h, weights, `${prefix}.${last.name}`, last.stride, (last.kernel - 1) / 2] as const;
  const shortcut = [activated, weights, `${prefix}.shortcut`, stride, 0] as const;
  return {
    y: tf.add(conv2d(...body), projects ? conv2d(...shortcut) : x),
    mean: () => tf.add(meanOfConv2d(...body), projects ? meanOfConv2d(...shortcut) : meanOfX()),
  };
}
