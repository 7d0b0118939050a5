import type { ModuleConfig } from '@greedy-infomax/crds';
import { CheckpointStore } from '../checkpoint/store.ts';
import { openEvaluationImages } from '../data/batches.ts';
import { moduleWeights } from '../model/module.ts';
import type { WeightValue } from '../step/function.ts';
import { configHash } from '../train/resume.ts';
import { EVALUATION_BATCH, extractFeatures, type Features } from './features.ts';
import { readoutAccuracy } from './readout.ts';

export interface ModuleAccuracy {
  name: string;
  /** Of a linear readout on the trained module and on the same module as it was initialised; 0 to 1. */
  accuracy: number;
  accuracyUntrained: number;
}

/**
 * Reads out every module, trained and untrained, on the labelled and the test images of the run's data
 * set. Throws if a module has no checkpoint or the data set has no labels.
 */
export async function evaluate(
  modules: readonly ModuleConfig[],
  checkpointFolder: (module: string) => string,
  onModule: (result: ModuleAccuracy) => void,
): Promise<ModuleAccuracy[]> {
  const [first] = modules;
  if (first?.source.kind !== 'data')
    throw new Error('the run has no module that reads its data set');
  const { data, augmentation } = first.source;
  const open = (split: 'labelled' | 'test') =>
    openEvaluationImages({ data, augmentation, split, batchSize: EVALUATION_BATCH });
  const training = await open('labelled');
  const test = await open('test');
  if (training.classes === 0 || test.classes === 0) {
    throw new Error(`the data set (${data.format}) has no labels to read out`);
  }

  const initial = new Map(modules.map((module) => [module.name, moduleWeights(module)]));
  const trained = new Map(
    await Promise.all(
      modules.map(
        async (module) =>
          [
            module.name,
            await trainedWeights(module, checkpointFolder(module.name), initial),
          ] as const,
      ),
    ),
  );
  const before = {
    training: await extractFeatures(modules, initial, training),
    test: await extractFeatures(modules, initial, test),
  };
  const after = {
    training: await extractFeatures(modules, trained, training),
    test: await extractFeatures(modules, trained, test),
  };

  return modules.map((module) => {
    const readout = (features: { training: Features; test: Features }): number =>
      readoutAccuracy(
        ofModule(features.training, module.name),
        ofModule(features.test, module.name),
        {
          channels: module.output[3],
          classes: training.classes,
          evaluation: module.evaluation,
          seed: module.seed,
        },
      );
    const result = {
      name: module.name,
      accuracy: readout(after),
      accuracyUntrained: readout(before),
    };
    onModule(result);
    return result;
  });
}

const ofModule = ({ byModule, labels }: Features, name: string) => ({
  features: byModule.get(name) as Float32Array,
  labels,
});

async function trainedWeights(
  module: ModuleConfig,
  folder: string,
  initial: ReadonlyMap<string, Readonly<Record<string, WeightValue>>>,
): Promise<Record<string, WeightValue>> {
  const store = new CheckpointStore(folder, {
    keep: module.checkpoints.keep,
    configHash: configHash(module),
  });
  const { checkpoint } = await store.loadNewest();
  if (checkpoint === null) {
    throw new Error(`module ${module.name} has no checkpoint in ${folder}; train it first`);
  }
  return Object.fromEntries(
    Object.keys(initial.get(module.name) ?? {}).map((name) => {
      const tensor = checkpoint.tensors[name];
      if (!tensor) throw new Error(`the checkpoint of module ${module.name} lacks ${name}`);
      return [name, { shape: tensor.shape, values: tensor.data as Float32Array }];
    }),
  );
}
