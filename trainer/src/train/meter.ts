import { percentiles, type Report } from '@greedy-infomax/crds';

/** Number of recent losses that `loss` averages. */
const RECENT_STEPS = 100;
/** Number of first losses that `lossFirst` averages. */
const FIRST_STEPS = 10;
/** Length of the window of rate and staleness, in milliseconds. */
const WINDOW = 10_000;

/** Measurements of one step. */
export interface StepResult {
  /** Milliseconds on a monotonic clock. */
  at: number;
  loss: number;
  samples: number;
  /** Staleness of each sample, in optimizer steps of its producer and in seconds. Empty for module 0. */
  stalenessSteps: readonly number[];
  stalenessSeconds: readonly number[];
}

type Measures = Pick<
  Report,
  'loss' | 'lossFirst' | 'samplesPerSecond' | 'stalenessSteps' | 'stalenessSeconds'
>;

/** Running statistics of a training. Time is passed in with the steps. */
export class Meter {
  readonly #recent: number[] = [];
  readonly #first: number[];
  #window: StepResult[] = [];

  /** `first`: losses of the first steps, if training continues from a checkpoint. */
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
    // The first step marks the start of the window: its samples were trained before it.
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
