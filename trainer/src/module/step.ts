import type { ModuleConfig } from '@greedy-infomax/crds';
import { encode, encodeAndRepresent } from '../model/encoder.ts';
import { OBJECTIVES } from '../objective/registry.ts';
import type { Draws } from '../objective/types.ts';
import { CODECS } from '../step/codecs.ts';
import type { StepFunction } from '../step/function.ts';
import { distinctInts, randomInts, relu } from '../step/ops.ts';
import { type Tensor, tf } from '../tf.ts';
import { decodeInput, inputSpec } from './input.ts';

/** The two functions of a gradient-isolated module, plainly. `fast-step.ts` computes the same faster. */
export interface ModuleFunctions {
  /** Computes the loss and its gradients for a batch, its labels and a seed, and the activations for the next module. */
  train: StepFunction;
  /** Computes the activations only. Absent in the last module. */
  forward?: StepFunction;
}

export function plainStep(config: ModuleConfig): ModuleFunctions {
  const { layers, grid, objective, source, input } = config;
  return {
    train: {
      inputs: trainingInputs(config),
      minimise: 'loss',
      build: ({ batch, labels, seed }, weights) => {
        // The batch is an input of the graph, so no gradient reaches the module that computed it.
        const x = decodeInput(batch as Tensor, source, input);
        const { z, representation } = encodeAndRepresent(layers, weights, x, grid);
        const loss = OBJECTIVES[objective.type].loss(objective, weights, representation, {
          labels: labels as Tensor,
          draws: drawsFrom(seed as Tensor),
        });
        return {
          loss,
          ...(sendsWhileTraining(config) && { activations: activationsOf(config, z) }),
        };
      },
    },
    ...(config.sink && {
      forward: {
        inputs: { batch: inputSpec(config) },
        build: ({ batch }, weights) => {
          const z = encode(layers, weights, decodeInput(batch as Tensor, source, input));
          return { activations: activationsOf(config, z) };
        },
      },
    }),
  };
}

/** A module that trains alone sends nothing until it has finished. */
export const sendsWhileTraining = ({ sink, order }: ModuleConfig): boolean =>
  sink !== null && order !== 'iterative';

export const trainingInputs = (config: ModuleConfig): StepFunction['inputs'] => ({
  batch: inputSpec(config),
  labels: { shape: [config.batchSize], dtype: 'int32' },
  seed: { shape: [2], dtype: 'int32' },
});

/** Encodes z, the whole maps and not their mean, for the next module: bytes [samples, sampleBytes]. */
export function activationsOf({ sink }: ModuleConfig, z: Tensor): Tensor {
  if (!sink) throw new TypeError('the last module has no activations to send');
  const [patches, rows, cols, channels] = sink.shape;
  const sent = tf.reshape(sink.rectified ? relu(z) : z, [-1, patches * rows * cols, channels]);
  return CODECS[sink.encoding].encode(sent, sink.rectified);
}

/** Streams of `Draws` that one step may use: 0 to 64. */
const STREAMS = 65;

/**
 * Returns the seed of a step's draws, int32 [2]. Modules and replicas differ in the first number, steps in the second;
 * `drawsFrom` adds the stream to the second.
 */
export const stepSeed = (
  { seed, index }: Pick<ModuleConfig, 'seed' | 'index'>,
  replica: number,
  step: number,
): Int32Array => Int32Array.of(seed + index * 65_537 + replica * 257, step * STREAMS);

/** Returns random numbers as a function of the seed: int32 [2]. */
export function drawsFrom(seed: Tensor): Draws {
  const streamSeed = (stream: number) => tf.add(seed, tf.tensor1d([0, stream], 'int32'));
  return {
    ints: (stream, shape, max) => randomInts(streamSeed(stream), shape, max),
    distinct: (stream, shape, count, max) => distinctInts(streamSeed(stream), shape, count, max),
  };
}
