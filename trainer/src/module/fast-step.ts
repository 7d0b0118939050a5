import type { ModuleConfig } from '@greedy-infomax/crds';
import { encode } from '../model/encoder.ts';
import { encodeAndPool } from '../model/pooled-encoder.ts';
import { OBJECTIVES } from '../objective/registry.ts';
import type { Weights } from '../step/function.ts';
import type { Tensor } from '../tf.ts';
import { decodeInput, inputSpec } from './input.ts';
import {
  forEachMicroBatch,
  joinBytes,
  joinMaps,
  microBatchSizes,
  scheduleGradient,
} from './micro-batches.ts';
import {
  activationsOf,
  drawsFrom,
  type ModuleFunctions,
  sendsWhileTraining,
  trainingInputs,
} from './step.ts';

/**
 * Fast variant of `plainStep`: the encoder takes the batch in micro-batches of `sizes` samples, pools with a cheap
 * gradient, and the objective uses its fast variant. `program.test.ts` holds both together.
 */
export function fastStep(config: ModuleConfig, sizes = microBatchSizes(config)): ModuleFunctions {
  const { objective } = config;
  const { loss, fastLoss = loss } = OBJECTIVES[objective.type];
  return {
    train: {
      inputs: trainingInputs(config),
      minimise: 'loss',
      build: ({ batch, labels, seed }, weights) => {
        const { representation, sent } = encodeBatch(config, sizes, batch as Tensor, weights);
        const value = fastLoss(objective, weights, representation, {
          labels: labels as Tensor,
          draws: drawsFrom(seed as Tensor),
        });
        return {
          loss: value,
          ...(sendsWhileTraining(config) && { activations: joinBytes(sent) }),
        };
      },
    },
    ...(config.sink && {
      forward: {
        inputs: { batch: inputSpec(config) },
        build: ({ batch }, weights) => ({
          activations: joinBytes(
            forEachMicroBatch(batch as Tensor, sizes, (part) => {
              const x = decodeInput(part, config.source, config.input);
              return activationsOf(config, encode(config.layers, weights, x));
            }),
          ),
        }),
      },
    }),
  };
}

/** Encodes all micro-batches and joins their representations; `sent` has the activations of each. */
function encodeBatch(
  config: ModuleConfig,
  sizes: readonly number[],
  batch: Tensor,
  weights: Weights,
) {
  const parts = forEachMicroBatch(batch, sizes, (part) => {
    const x = decodeInput(part, config.source, config.input);
    const { z, representation } = encodeAndPool(config.layers, weights, x, config.grid);
    const context = scheduleGradient(representation.context, sizes);
    const target =
      representation.target === representation.context ? context : representation.target;
    return { context, target, sent: config.sink ? [activationsOf(config, z)] : [] };
  });
  const context = joinMaps(parts.map((part) => part.context));
  const isTarget = parts.every((part) => part.context === part.target);
  const target = isTarget ? context : joinMaps(parts.map((part) => part.target));
  return { representation: { context, target }, sent: parts.flatMap(({ sent }) => sent) };
}
