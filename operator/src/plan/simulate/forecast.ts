import type { Percentiles, Stage, StageForecast } from './pipeline.ts';

/** What a simulation has seen, summed up. */

export interface Outcome {
  stage: Stage;
  /** Samples. */
  trained: number;
  /** When the budget was spent, in milliseconds; null before. */
  endedAt: number | null;
  /** Milliseconds of all trainers in which they trained. */
  busy: number;
  staleSteps: number[];
  staleSeconds: number[];
  /** By the end of the budget. */
  dropped: number;
  reused: number;
}

/** Cores this busy are what a run waits for, whatever else it waits for. */
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

/** `links`: share of the run in which each was busy. A module that ended early held nothing up. */
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

function percentiles(values: readonly number[]): Percentiles | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] as number;
  return { p50: at(0.5), p95: at(0.95) };
}
