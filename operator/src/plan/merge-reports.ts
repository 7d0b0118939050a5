import type { Report } from '@greedy-infomax/crds';

/** Samples of one module by the number of the trainer. */
export type SamplesByReplica = Record<string, number>;

/**
 * Keeps count of the samples that each trainer of each module has trained on. A trainer's own word counts; of one
 * that has left, and that this process never heard, the others know.
 */
export class SampleCounts {
  readonly #byModule = new Map<string, SamplesByReplica>();

  note({ module, replica, phase, samplesTrained, others = {} }: Report): void {
    const counts = { ...others, ...this.of(module) };
    // Before its first step a trainer does not know yet how far it had come.
    if (phase !== 'starting' && phase !== 'failed') counts[replica] = samplesTrained;
    this.#byModule.set(module, counts);
  }

  of(module: string): SamplesByReplica {
    return this.#byModule.get(module) ?? {};
  }

  total(module: string): number {
    return sum(Object.values(this.of(module)));
  }
}

const PHASES = ['failed', 'training', 'starting', 'forwarding', 'finished'] as const;

/** One report that says of a module what the newest of its trainers say, who had `samples` trained; undefined for none. */
export function mergeReports(reports: readonly Report[], samples: number): Report | undefined {
  const [first] = reports;
  if (first === undefined || reports.length === 1)
    return first && { ...first, samplesTrained: samples };
  const training = reports.filter(({ phase }) => phase === 'training');
  const { others: _, message: __, ...rest } = first;
  const message = reports.find((report) => report.message !== undefined)?.message;
  return {
    ...rest,
    phase: PHASES.find((phase) => reports.some((report) => report.phase === phase)) ?? first.phase,
    step: Math.max(...reports.map(({ step }) => step)),
    samplesTrained: samples,
    loss: mean(reports.map(({ loss }) => loss)),
    lossFirst: mean(reports.map(({ lossFirst }) => lossFirst)),
    samplesPerSecond: sum(training.map(({ samplesPerSecond }) => samplesPerSecond)),
    stalenessSteps: mergePercentiles(reports.map(({ stalenessSteps }) => stalenessSteps)),
    stalenessSeconds: mergePercentiles(reports.map(({ stalenessSeconds }) => stalenessSeconds)),
    samplesDropped: sum(reports.map(({ samplesDropped }) => samplesDropped)),
    samplesReused: sum(reports.map(({ samplesReused }) => samplesReused)),
    memoryBytes: greatest(reports.map(({ memoryBytes = null }) => memoryBytes)) ?? undefined,
    checkpointStep: greatest(reports.map(({ checkpointStep }) => checkpointStep)),
    at: Math.max(...reports.map(({ at }) => at)),
    ...(message !== undefined && { message }),
  };
}

type Percentiles = Report['stalenessSteps'];

/** Returns the mean of the trainers' medians and the maximum of their 95th percentiles; null without values. */
export function mergePercentiles(values: readonly Percentiles[]): Percentiles {
  const known = values.filter((value) => value !== null);
  const p50 = mean(known.map((value) => value.p50));
  return p50 === null ? null : { p50, p95: Math.max(...known.map((value) => value.p95)) };
}

const sum = (values: readonly number[]): number => values.reduce((total, x) => total + x, 0);

/** Returns the mean of the finite values; null without one. The loss of a diverged trainer is NaN. */
export function mean(values: readonly (number | null)[]): number | null {
  const known = values.filter((value): value is number => Number.isFinite(value));
  return known.length > 0 ? sum(known) / known.length : null;
}

/** Returns the greatest value; null without one. */
export function greatest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) : null;
}
