import type { Layer } from '@greedy-infomax/crds';
import type { Weights } from '../../step/function.ts';
import { relu } from '../../step/ops.ts';
import { type Tensor, tf } from '../../tf.ts';
import { conv2d } from './conv2d.ts';
import { convParameters, type Parameter } from './parameters.ts';
import { meanOfConv2d, meanOverPositions } from './pooled-conv.ts';
import type { LayerBuilder, WithMean } from './registry.ts';

/** One convolution of a block's body. */
interface BodyConv {
  name: string;
  kernel: number;
  channels: number;
  stride: number;
}

/**
 * Pre-activation blocks without normalisation (He et al. 2016, as Greedy InfoMax uses them): every
 * convolution of the body follows a relu. The shortcut is the input itself, or a 1x1 convolution of
 * relu(input) where the shape changes.
 */
export function preActivationBlocks(
  body: (layer: Layer, stride: number) => readonly BodyConv[],
): LayerBuilder {
  /** The blocks that `repeat` asks for; only the first strides. */
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

/** y, and its mean over positions. */
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
