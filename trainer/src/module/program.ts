import {
  type ModuleConfig,
  outputShape,
  type PatchShape,
  targetLayers,
} from '@greedy-infomax/crds';
import { encoderParameters } from '../model/encoder.ts';
import { initialWeights } from '../model/initialise.ts';
import { OBJECTIVES } from '../objective/registry.ts';
import type { WeightValue } from '../step/function.ts';
import { precisionOf } from '../step/passes/bfloat16.ts';
import { Program } from '../step/program.ts';
import { fastStep } from './fast-step.ts';
import type { ModuleFunctions } from './step.ts';

/** A compiled module. `train` makes a step and returns the loss; both return the activations for the next module. */
export type ModuleProgram = Program<'train' | 'forward'>;

/** Distance between the seeds of modules, so that no two start from the same weights. */
const SEED_STRIDE = 7919;

/** Returns the initial weights of a module: the same for every replica and every attempt. */
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

/** Compiles the functions of a module; tests pass `plainStep(config)` to compare the two. */
export function compileModule(
  config: ModuleConfig,
  { train, forward }: ModuleFunctions = fastStep(config),
): ModuleProgram {
  return Program.compile({
    weights: moduleWeights(config),
    optimizer: config.optimizer,
    precision: precisionOf(config),
    functions: { train, forward: forward ?? { inputs: {}, build: () => ({}) } },
  });
}
