import { type ModuleConfig, type PatchShape, stepMacs } from '@greedy-infomax/crds';

/** The cores of one machine, shared out between the trainers of a run. */

/**
 * Products of matrices are not all that a trainer does: it reads, encodes, and waits where threads meet. One that
 * needs nearly all of a thread holds up the others; one thread too many only costs them switches.
 */
const HEADROOM = 1.1;
/** By how much the core with the most work may have more than another would have to, for trainers to keep to cores. */
const MOST_UNEVEN = 1.05;

export interface ModuleTrainers {
  module: ModuleConfig;
  /** Number of trainers that share the module's samples. */
  trainers: number;
}

/** Threads and cores of a module's trainers. */
export interface Share {
  threads: number;
  /** By number of the trainer, the core that it keeps to, from 0 on; null where trainers share all of them. */
  cores: readonly number[] | null;
}

/**
 * Assigns each trainer to one core where all cores then have equal work: its caches stay its own. Otherwise each
 * trainer gets threads by its share of the work on `cores`, rounded up, at least one and at most `cores`.
 */
export function sharesOf(cores: number, modules: readonly ModuleTrainers[]): Share[] {
  const work = modules.map(({ module }) => workOf(module));
  const all = work.reduce((sum, one) => sum + one, 0);
  const loads = modules.map(
    ({ trainers }, i) => (cores * (work[i] as number)) / all / Math.max(1, trainers),
  );
  const dealt = deal(cores, modules, loads);
  return modules.map((_, i) => {
    if (dealt) return { threads: 1, cores: dealt[i] as number[] };
    const threads = Math.ceil(HEADROOM * (loads[i] as number));
    return { threads: Math.max(1, Math.min(threads, Math.floor(cores))), cores: null };
  });
}

/**
 * The core of each trainer by module: the one with most to do first, each to the core that has least so far. Null where that
 * leaves them uneven, and where there is nothing to choose. `loads`: of a trainer, in cores.
 */
function deal(
  cores: number,
  modules: readonly ModuleTrainers[],
  loads: readonly number[],
): number[][] | null {
  const trainers = modules.flatMap(({ trainers }, i) =>
    Array.from({ length: trainers }, () => ({ module: i, load: loads[i] as number })),
  );
  if (!Number.isInteger(cores) || cores < 2 || cores > trainers.length) return null;
  const filled = Array.from({ length: cores }, () => 0);
  const dealt = modules.map((): number[] => []);
  for (const { module, load } of trainers.toSorted((a, b) => b.load - a.load)) {
    const core = filled.indexOf(Math.min(...filled));
    filled[core] = (filled[core] as number) + load;
    dealt[module]?.push(core);
  }
  return Math.max(...filled) <= MOST_UNEVEN ? dealt : null;
}

/** Multiplications that a training step of the module takes for a sample. */
function workOf({ layers, input: [patches, ...patch] }: ModuleConfig): number {
  return patches * stepMacs(layers, patch as PatchShape);
}
