import { join } from 'node:path';
import { infoNCESettings, type ModuleConfig } from '@greedy-infomax/crds';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';

/** Modules whose steps are measured, from the run files of examples/. */

const EXAMPLES = join(import.meta.dirname, '../../examples');

/** By family: a run file, and a batch size where the file's own would not fit a small machine. */
const FAMILIES: Record<string, { file: string; batchSize?: number }> = {
  resnet50: { file: 'stl10-resnet50.yaml', batchSize: 2 },
  resnet34: { file: 'paper/gim-resnet34.yaml', batchSize: 2 },
  speech: { file: 'synthetic-speech.yaml' },
  digits: { file: 'digits.yaml' },
};

export interface Case {
  family: string;
  config: ModuleConfig;
}

/**
 * Returns all modules, or those of the named families; with `fullBatch` at the batch size of their
 * run file. Throws a `RangeError` for an unknown family.
 */
export function casesOf(
  families: readonly string[] = Object.keys(FAMILIES),
  fullBatch = false,
): Case[] {
  return families.flatMap((family) => {
    const known = FAMILIES[family];
    if (!known) {
      throw new RangeError(
        `there are no cases '${family}'; there are ${Object.keys(FAMILIES).join(', ')}`,
      );
    }
    const run = readRunFile(join(EXAMPLES, known.file));
    const batchSize = (fullBatch ? undefined : known.batchSize) ?? run.spec.batchSize;
    // The budget does not matter here, and a budget in epochs would need the data set.
    const spec = { ...run.spec, batchSize, training: { samples: batchSize } };
    const plan = planRun({ ...run, spec }, { namespace: 'local', uid: 'bench' });
    return plan.modules.map((config) => ({ family, config }));
  });
}

/** Description of a module for the PyTorch process. */
export function peerModule({ source, objective, optimizer, ...config }: ModuleConfig) {
  const { batchSize, grid, input, output, layers } = config;
  return {
    batchSize,
    grid,
    input,
    output,
    layers,
    source: source.kind,
    infoNCE: infoNCESettings(objective),
    learningRate: optimizer.learningRate,
    ...(source.kind === 'data' && { patches: source.patches, crop: source.augmentation.crop }),
    ...(source.kind === 'speech' && { normalize: source.window.normalize }),
  };
}
