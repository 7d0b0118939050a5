import type { ModuleConfig } from '@greedy-infomax/crds';
import { prefixed, weightsOf } from '../../trainer/src/evaluate/features.ts';
import { encodeAndPool } from '../../trainer/src/model/pooled-encoder.ts';
import { decodeInput, inputSpec } from '../../trainer/src/module/input.ts';
import { moduleWeights } from '../../trainer/src/module/program.ts';
import { drawsFrom } from '../../trainer/src/module/step.ts';
import { OBJECTIVES } from '../../trainer/src/objective/registry.ts';
import { size } from '../../trainer/src/step/function.ts';
import { stopGradient } from '../../trainer/src/step/ops.ts';
import { Program } from '../../trainer/src/step/program.ts';
import { type Tensor, tf } from '../../trainer/src/tf.ts';

/**
 * All modules trained in one step, as in the reference: the sum of their losses, with gradients cut
 * between modules.
 */
export class JointStep {
  readonly #program: Program<'train'>;
  readonly #first: ModuleConfig;

  constructor(modules: readonly [ModuleConfig, ...ModuleConfig[]]) {
    const [first] = modules;
    this.#first = first;
    const weights = new Map(modules.map((module) => [module.name, moduleWeights(module)]));
    this.#program = Program.compile({
      weights: prefixed(modules, weights),
      optimizer: first.optimizer,
      functions: {
        train: {
          inputs: { batch: inputSpec(first), seed: { shape: [2], dtype: 'int32' } },
          build: ({ batch, seed }, all) => {
            let x = decodeInput(batch as Tensor, first.source, first.input);
            const losses = modules.map(({ name, layers, objective, grid }) => {
              const own = weightsOf(name, all);
              const { z, representation } = encodeAndPool(layers, own, x, grid);
              x = stopGradient(z);
              const { loss, fastLoss = loss } = OBJECTIVES[objective.type];
              return fastLoss(objective, own, representation, {
                labels: tf.zeros([first.batchSize], 'int32'),
                draws: drawsFrom(seed as Tensor),
              });
            });
            return { loss: tf.addN(losses) };
          },
          minimise: 'loss',
        },
      },
    });
  }

  /** Returns the sum of the losses. */
  step(): number {
    const { loss } = this.#program.run('train', {
      batch: new Uint8Array(size(inputSpec(this.#first).shape)).map(() => Math.random() * 256),
      seed: Int32Array.of(1, this.#program.step * 64),
    });
    return loss?.[0] as number;
  }
}
