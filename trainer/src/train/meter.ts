import type { Report } from '@greedy-infomax/crds';

/** Losses that `loss` is the mean of. */
const RECENT_STEPS = 100;
/** Losses that `lossFirst` is the mean of. */
const FIRST_STEPS = 10;
/** Milliseconds that rate and staleness look back on. */
const WINDOW = 10_000;

/** What one step tells. */
export interface StepResult {
  /** Milliseconds on a clock that only ever goes on. */
  at: number;
  loss: number;
  samples: number;
  /** Of each sample used: optimizer steps of the producer, and seconds, since it was made. Empty for module 0. */
  stalenessSteps: readonly number[];
  stalenessSeconds: readonly number[];
}

type Measures = Pick<
  Report,
  'loss' | 'lossFirst' | 'samplesPerSecond' | 'stalenessSteps' | 'stalenessSeconds'
>;

/** Running figures of a training. Time comes in with the steps. */
export class Meter {
  readonly #recent: number[] = [];
  readonly #first: number[];
  #window: StepResult[] = [];

  /** `first`: losses of the first steps, when training goes on from a checkpoint. */
  constructor(first: readonly number[] = []) {
    this.#first = [...first];
  }

  get firstLosses(): readonly number[] {
    return this.#first;
  }

  add(step: StepResult): void {
    if (this.#first.length < FIRST_STEPS) this.#first.push(step.loss);
    this.#recent.push(step.loss);
    if (this.#recent.length > RECENT_STEPS) this.#recent.shift();
    this.#window.push(step);
  }

  read(now: number): Measures {
    this.#window = this.#window.filter(({ at }) => at > now - WINDOW);
    // The first step in the window marks its begin: its samples were trained before.
    const [begin, ...rest] = this.#window;
    const seconds = begin ? (now - begin.at) / 1000 : 0;
    const samples = rest.reduce((sum, { samples: n }) => sum + n, 0);
    return {
      loss: mean(this.#recent),
      lossFirst: mean(this.#first),
      samplesPerSecond: seconds > 0 ? samples / seconds : 0,
      stalenessSteps: percentiles(this.#window.flatMap((step) => step.stalenessSteps)),
      stalenessSeconds: percentiles(this.#window.flatMap((step) => step.stalenessSeconds)),
    };
  }
}

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, x) => sum + x, 0) / values.length;

/** Nearest-rank percentiles; null for no values. */
export function percentiles(values: readonly number[]): { p50: number; p95: number } | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const at = (p: number) => sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] as number;
  return { p50: at(0.5), p95: at(0.95) };
}
