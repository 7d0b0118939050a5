import {
  type ModuleConfig,
  outputShape,
  type PatchShape,
  targetLayers,
} from '@greedy-infomax/crds';
import { encode, encodeAndRepresent, encoderParameters } from '../model/encoder.ts';
import { initialWeights } from '../model/initialise.ts';
import { precisionOf } from '../model/precision.ts';
import { type Draws, OBJECTIVES } from '../objective/registry.ts';
import { CODECS } from '../step/codecs.ts';
import type { StepFunction, Weights, WeightValue } from '../step/function.ts';
import { distinctInts, randomInts, relu } from '../step/ops.ts';
import { Program } from '../step/program.ts';
import { type Tensor, tf } from '../tf.ts';
import { decodeInput, inputSpec } from './input.ts';
import { joinBytes, joinParts, ofParts, partSizes, turnBackPart } from './micro-batches.ts';

/** One gradient-isolated module: what it computes in a step, compiled. */

/** `train` takes a step and gives the loss; both give the activations for the next module, if there is one. */
export type ModuleProgram = Program<'train' | 'forward'>;

/** Seeds of modules lie this far apart, so that no two start from the same weights. */
const SEED_STRIDE = 7919;

/** The weights that a module starts from: the same for every replica and every attempt. */
export function moduleWeights(config: ModuleConfig): Record<string, WeightValue> {
  const [, rows, cols, channels] = config.input;
  const input: PatchShape = [rows, cols, channels];
  const [, , targetChannels] = outputShape(targetLayers(config.layers), input);
  return initialWeights(
    [
      ...encoderParameters(config.layers, input),
      ...OBJECTIVES[config.objective.type].parameters(
        config.objective,
        config.output[3],
        targetChannels,
      ),
    ],
    config.seed + SEED_STRIDE * config.index,
  );
}

/**
 * A step of training: of a batch, its labels and a seed the loss to minimise, and the activations for the next module.
 * `parts`: samples of each part that goes through the encoder by itself.
 */
export function trainingStep(config: ModuleConfig, parts = partSizes(config)): StepFunction {
  return {
    inputs: {
      batch: inputSpec(config),
      labels: { shape: [config.batchSize], dtype: 'int32' },
      seed: { shape: [2], dtype: 'int32' },
    },
    build: ({ batch, labels, seed }, weights) => {
      const { representation, sent } = encodeInParts(config, parts, batch as Tensor, weights);
      const loss = OBJECTIVES[config.objective.type].loss(
        config.objective,
        weights,
        representation,
        { labels: labels as Tensor, draws: drawsFrom(seed as Tensor) },
      );
      // Of a module that trains alone the next one gets nothing before the end.
      return config.order === 'iterative' ? { loss } : { loss, ...sent };
    },
    minimise: 'loss',
  };
}

export function compileModule(config: ModuleConfig, parts = partSizes(config)): ModuleProgram {
  const train = trainingStep(config, parts);
  const forward: StepFunction = {
    inputs: { batch: inputSpec(config) },
    build: ({ batch }, weights) => forwardInParts(config, parts, batch as Tensor, weights),
  };
  return Program.compile({
    weights: moduleWeights(config),
    optimizer: config.optimizer,
    precision: precisionOf(config),
    functions: config.sink
      ? { train, forward }
      : { train, forward: { inputs: {}, build: () => ({}) } },
  });
}

/** The batch is an input of the graph, so no gradient can reach the module that made it. */
function encodeInParts(config: ModuleConfig, sizes: number[], batch: Tensor, weights: Weights) {
  const parts = ofParts(batch, sizes, (part) => {
    const x = decodeInput(part, config.source, config.input);
    const { z, representation } = encodeAndRepresent(config.layers, weights, x, config.grid);
    const context = turnBackPart(representation.context, sizes);
    const target =
      representation.target === representation.context ? context : representation.target;
    return { representation: { context, target }, sent: activations(config, z) };
  });
  const context = joinParts(parts.map(({ representation }) => representation.context));
  const isTarget = parts.every(({ representation: { context, target } }) => context === target);
  const target = isTarget
    ? context
    : joinParts(parts.map(({ representation }) => representation.target));
  return { representation: { context, target }, sent: joinSent(parts.map(({ sent }) => sent)) };
}

const forwardInParts = (config: ModuleConfig, sizes: number[], batch: Tensor, weights: Weights) =>
  joinSent(
    ofParts(batch, sizes, (part) => {
      const x = decodeInput(part, config.source, config.input);
      return activations(config, encode(config.layers, weights, x));
    }),
  );

function joinSent(parts: readonly { activations?: Tensor }[]): Record<string, Tensor> {
  const sent = parts.flatMap(({ activations }) => activations ?? []);
  return sent.length === 0 ? {} : { activations: joinBytes(sent) };
}

/** What the next module gets: the whole maps, not their mean. Bytes [samples, sampleBytes]. */
function activations({ sink }: ModuleConfig, z: Tensor): { activations?: Tensor } {
  if (!sink) return {};
  const [patches, rows, cols, channels] = sink.shape;
  const sent = tf.reshape(sink.rectified ? relu(z) : z, [-1, patches * rows * cols, channels]);
  return { activations: CODECS[sink.encoding].encode(sent, sink.rectified) };
}

/** Random numbers as a function of the fed seed. */
export function drawsFrom(seed: Tensor): Draws {
  const streamSeed = (stream: number) => tf.add(seed, tf.tensor1d([0, stream], 'int32'));
  return {
    ints: (stream, shape, max) => randomInts(streamSeed(stream), shape, max),
    distinct: (stream, shape, count, max) => distinctInts(streamSeed(stream), shape, count, max),
  };
}
