/** Trainings to compare: a run of three modules with a slow second module. */

export type Policy = 'latest' | 'block';

export interface Case {
  /** synchronous: one process trains the modules in sequence, batch by batch. */
  policy: Policy | 'synchronous';
  /** Batches in a buffer; null without buffers. */
  depth: number | null;
  /** Factor by which the second module's batches take longer. */
  slowdown: number;
  seed: number;
}

export interface Result extends Case {
  /** Accuracy of the last module's linear probe, between 0 and 1. */
  accuracy: number;
  /** Training time of each module, in network order; one total for training in one process. */
  seconds: number[];
  /** Samples that the last module reused. */
  reused: number;
  /** Digest of the weights, to compare the results of two trainings. */
  weights: string;
}

/** Results from the training itself. */
export type Measured = Omit<Result, 'weights'>;

export const SLOWDOWNS = [1, 2, 4, 8];
export const DEPTHS = [1, 8, 64];
/** Repeats the case of the claim: several seeds distinguish the effect from chance. */
export const CLAIM = {
  policy: 'latest',
  depth: 8,
  slowdown: 4,
  seeds: [1, 2, 3, 4, 5, 6],
} as const;

/** Cases in order of measurement, those of the claim first. */
export function allCases(): Case[] {
  const seeded = CLAIM.seeds.flatMap((seed): Case[] => [
    { policy: 'synchronous', depth: null, slowdown: 1, seed },
    { policy: 'latest', depth: CLAIM.depth, slowdown: 1, seed },
    { policy: 'latest', depth: CLAIM.depth, slowdown: CLAIM.slowdown, seed },
  ]);
  const grid = (['latest', 'block'] as const).flatMap((policy) =>
    SLOWDOWNS.flatMap((slowdown) =>
      DEPTHS.filter((depth) => isTold(policy, depth, slowdown)).map(
        (depth): Case => ({ policy, depth, slowdown, seed: 1 }),
      ),
    ),
  );
  const known = new Set(seeded.map(nameOf));
  return [...seeded, ...grid.filter((one) => !known.has(nameOf(one)))];
}

/**
 * With `block` all modules are as slow as the slowest, so not every depth is combined with every
 * slow-down.
 */
const isTold = (policy: Policy, depth: number, slowdown: number): boolean =>
  policy === 'latest' || depth === CLAIM.depth || slowdown === 1 || slowdown === CLAIM.slowdown;

/** Unique name of a case, usable as a folder. */
export const nameOf = ({ policy, depth, slowdown, seed }: Case): string =>
  [policy, ...(depth === null ? [] : [`depth${depth}`, `slow${slowdown}`]), `seed${seed}`].join(
    '-',
  );
