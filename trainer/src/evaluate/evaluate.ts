import type { ModuleConfig } from '@greedy-infomax/crds';
import { CheckpointError } from '../checkpoint/errors.ts';
import type { Checkpoint } from '../checkpoint/store.ts';
import { moduleWeights } from '../module/program.ts';
import type { WeightValue } from '../step/function.ts';
import { EvaluationError } from './errors.ts';
import { openImageSubject } from './images.ts';
import { type LabelledFeatures, probeAccuracy } from './linear-probe.ts';
import { openSpeechSubject } from './speech.ts';
import type { ModelWeights, Question, Subject } from './subject.ts';

export interface ModuleAccuracy {
  name: string;
  /** Accuracy of a linear probe on the trained module, and on the module with its initial weights; 0 to 1. */
  accuracy: number;
  accuracyUntrained: number;
  /** Accuracies by question, if there are several: for speech, speaker (the accuracy above) and phone. */
  accuracies?: Record<string, Pick<ModuleAccuracy, 'accuracy' | 'accuracyUntrained'>>;
}

export interface RunAccuracies {
  /** Minimum over the modules of the samples trained as of the checkpoint. */
  samples: number;
  modules: ModuleAccuracy[];
}

/** Weights and features of the trained network, for its pictures. */
export interface Trained {
  weights: ModelWeights;
  /** Features of the test samples for the first question, by module. */
  test: ReadonlyMap<string, LabelledFeatures>;
}

/**
 * Trains linear probes on every module, trained and untrained, on the labelled and the test samples of the run's data
 * set. `newest` finds their checkpoints. Throws an `EvaluationError` if the data set has no labels, and a
 * `CheckpointError` if a module has no checkpoint.
 */
export async function evaluate(
  modules: readonly ModuleConfig[],
  newest: (module: ModuleConfig) => Promise<Checkpoint>,
  onModule: (result: ModuleAccuracy) => void,
  onTrained: (found: Trained) => void = () => {},
): Promise<RunAccuracies> {
  const subject = await openSubject(modules[0]);
  const initial = new Map(modules.map((module) => [module.name, moduleWeights(module)]));
  const checkpoints = await Promise.all(modules.map(newest));
  const trained = new Map(
    modules.map(({ name }, i) => {
      const names = Object.keys(initial.get(name) ?? {});
      return [name, trainedWeights(name, checkpoints[i] as Checkpoint, names)];
    }),
  );
  // Evaluate the untrained network first, so that features of both networks are never in memory together.
  const before = new Map<string, number[]>();
  await evaluateModules(subject, modules, initial, ({ name }, accuracies) =>
    before.set(name, accuracies),
  );
  const results: ModuleAccuracy[] = [];
  const test = await evaluateModules(subject, modules, trained, ({ name }, accuracies) => {
    const result = resultOf(name, subject.questions, accuracies, before.get(name) ?? []);
    onModule(result);
    results.push(result);
  });
  onTrained({ weights: trained, test });
  return { samples: Math.min(...checkpoints.map(({ samples }) => samples)), modules: results };
}

async function openSubject(first: ModuleConfig | undefined): Promise<Subject> {
  if (first?.source.kind === 'data') return openImageSubject(first.source);
  if (first?.source.kind === 'speech') return openSpeechSubject(first.source);
  throw new EvaluationError('the run has no module that reads its data set');
}

/**
 * Calls `give` with the accuracies of each module, in the order of the questions. Returns the features of the test samples
 * for the first question.
 */
async function evaluateModules(
  { questions, features }: Subject,
  modules: readonly ModuleConfig[],
  weights: ModelWeights,
  give: (module: ModuleConfig, accuracies: number[]) => void,
): Promise<ReadonlyMap<string, LabelledFeatures>> {
  const training = await features(modules, weights, 'labelled');
  const test = await features(modules, weights, 'test');
  for (const module of modules) {
    const accuracies = questions.map(({ name, classes, rows }) => {
      const of = (split: typeof training) => split.get(name)?.get(module.name) as LabelledFeatures;
      const { evaluation, seed, output } = module;
      return probeAccuracy(of(training), of(test), {
        channels: output[3],
        classes,
        // A step takes this many samples, with all rows of each.
        evaluation: { ...evaluation, batchSize: evaluation.batchSize * rows },
        seed,
      });
    });
    give(module, accuracies);
  }
  return test.get(questions[0]?.name ?? '') ?? new Map();
}

function resultOf(
  name: string,
  questions: readonly Question[],
  trained: readonly number[],
  untrained: readonly number[],
): ModuleAccuracy {
  const pairs = questions.map((question, i) => ({
    question: question.name,
    accuracy: trained[i] as number,
    accuracyUntrained: untrained[i] as number,
  }));
  const [{ question: _, ...first }] = pairs as [(typeof pairs)[number]];
  if (pairs.length === 1) return { name, ...first };
  const accuracies = Object.fromEntries(pairs.map(({ question, ...pair }) => [question, pair]));
  return { name, ...first, accuracies };
}

const trainedWeights = (
  module: string,
  { tensors }: Checkpoint,
  names: readonly string[],
): Record<string, WeightValue> =>
  Object.fromEntries(
    names.map((name) => {
      const tensor = tensors[name];
      if (!tensor) throw new CheckpointError(`the checkpoint of module ${module} lacks ${name}`);
      return [name, { shape: tensor.shape, values: tensor.data as Float32Array }];
    }),
  );
