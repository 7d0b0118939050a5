import { percentiles } from '@greedy-infomax/crds';
import type { Stage, StageForecast } from './pipeline.ts';

/** Summary of a simulation. */

export interface Outcome {
  stage: Stage;
  /** Samples. */
  trained: number;
  /** When the budget was spent, in milliseconds; null before. */
  endedAt: number | null;
  /** Milliseconds of training, summed over all trainers. */
  busy: number;
  staleSteps: number[];
  staleSeconds: number[];
  /** By the end of the budget. */
  dropped: number;
  reused: number;
}

/** Minimum share of busy cores to count the cores as the bottleneck. */
const CORES_FULL = 0.95;

export function stageForecast(outcome: Outcome, budget: number): StageForecast {
  const { stage, endedAt, busy, staleSteps, staleSeconds, dropped, reused } = outcome;
  const ms = endedAt ?? Number.POSITIVE_INFINITY;
  return {
    name: stage.name,
    seconds: ms / 1000,
    samplesPerSecond: (1000 * budget) / ms,
    busy: busy / ms / stage.replicas,
    stalenessSteps: percentiles(staleSteps),
    stalenessSeconds: percentiles(staleSeconds),
    dropped,
    reused,
  };
}

/** Returns the bottleneck. `links`: share of the run that each was busy. A module that ended early blocks nothing. */
export function bottleneckOf(
  stages: readonly StageForecast[],
  links: readonly number[],
  coresBusy: number | null,
): string {
  if (coresBusy !== null && coresBusy >= CORES_FULL) return 'the cores';
  const total = Math.max(...stages.map(({ seconds }) => seconds));
  const candidates = [
    ...stages.map(({ name, busy, seconds }) => ({
      what: `module ${name}`,
      busy: (busy * seconds) / total,
    })),
    ...links.map((busy, i) => ({ what: `the buffer behind ${stages[i]?.name}`, busy })),
  ];
  return candidates.reduce((most, each) => (each.busy > most.busy ? each : most)).what;
}
