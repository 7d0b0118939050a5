/** The trainings that are compared: a run of three modules, whose second one is slowed. */

export type Policy = 'latest' | 'block';

export interface Case {
  /** synchronous: one process trains the modules in turn, batch by batch. */
  policy: Policy | 'synchronous';
  /** Batches that a buffer holds; null without buffers. */
  depth: number | null;
  /** How many times as long as it would the second module takes for a batch. */
  slowdown: number;
  seed: number;
}

export interface Result extends Case {
  /** Of the readout of the last module, between 0 and 1. */
  accuracy: number;
  /** That each module trained for, in the order of the network; of all together where one process trains them. */
  seconds: number[];
  /** Samples that the last module used again. */
  reused: number;
  /** Tells whether two trainings ended with the same weights. */
  weights: string;
}

/** What the training itself tells. */
export type Measured = Omit<Result, 'weights'>;

export const SLOWDOWNS = [1, 2, 4, 8];
export const DEPTHS = [1, 8, 64];
/** Where the claim is checked: more seeds than one tell the effect from chance. */
export const CLAIM = {
  policy: 'latest',
  depth: 8,
  slowdown: 4,
  seeds: [1, 2, 3, 4, 5, 6],
} as const;

/** What is measured, in order: first what the claim needs. */
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

/** With `block` all are as slow as the slowest, and take long: not every depth is tried with every slow-down. */
const isTold = (policy: Policy, depth: number, slowdown: number): boolean =>
  policy === 'latest' || depth === CLAIM.depth || slowdown === 1 || slowdown === CLAIM.slowdown;

/** Tells cases apart, and is fit for a folder. */
export const nameOf = ({ policy, depth, slowdown, seed }: Case): string =>
  [policy, ...(depth === null ? [] : [`depth${depth}`, `slow${slowdown}`]), `seed${seed}`].join(
    '-',
  );
