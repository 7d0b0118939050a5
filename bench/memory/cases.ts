import { join } from 'node:path';
import type { ModuleConfig } from '@greedy-infomax/crds';
import { readRunFile } from '../../operator/src/cli/run-file.ts';
import { planRun } from '../../operator/src/plan/run.ts';

/** Modules trained in one process, of the paper's encoder on its images. */

const FILE = join(import.meta.dirname, '../../examples/paper/gim.yaml');

export interface Case {
  title: string;
  /** Several modules train at once, each on its own loss, without gradients between them. */
  modules: ModuleConfig[];
}

/** All modules at once, the same layers with one loss at their end, and each module alone. */
export function casesOf(batchSize: number): Case[] {
  const run = readRunFile(FILE);
  const plan = (modules: typeof run.spec.modules): ModuleConfig[] => {
    // The budget does not matter here, and a budget in epochs would need the data set.
    const spec = { ...run.spec, batchSize, training: { samples: batchSize }, modules };
    return planRun({ ...run, spec }, { namespace: 'local', uid: 'bench' }).modules;
  };
  const separate = plan(run.spec.modules);
  const layers = run.spec.modules.flatMap((module) => module.layers);
  return [
    { title: 'end to end', modules: plan([{ name: 'all', layers }]) },
    { title: 'all modules in one process', modules: separate },
    ...separate.map((module) => ({ title: `${module.name} alone`, modules: [module] })),
  ];
}
