import { type ModuleConfig, type PatchShape, stepProducts } from '@greedy-infomax/crds';

/** The cores of one machine, shared out between the trainers of a run. */

/**
 * Products of matrices are not all that a trainer does: it reads, encodes, and waits where threads meet. One that
 * needs nearly all of a thread holds up the others; one thread too many only costs them switches.
 */
const HEADROOM = 1.1;

export interface ModuleTrainers {
  module: ModuleConfig;
  /** That train at the same time, and share its samples. */
  trainers: number;
}

/**
 * Threads of a trainer of each module: as much of `cores` as its steps are of the work of all, rounded up; at least
 * one, and no more than there are cores.
 */
export function threadsOf(cores: number, modules: readonly ModuleTrainers[]): number[] {
  const work = modules.map(({ module }) => workOf(module));
  const all = work.reduce((sum, one) => sum + one, 0);
  return modules.map(({ trainers }, i) => {
    const share = (work[i] as number) / all / Math.max(1, trainers);
    const threads = Math.ceil(HEADROOM * cores * share);
    return Math.max(1, Math.min(threads, Math.floor(cores)));
  });
}

/** Multiplications that a training step of the module takes for a sample. */
function workOf({ layers, input: [patches, ...patch] }: ModuleConfig): number {
  return patches * stepProducts(layers, patch as PatchShape);
}
