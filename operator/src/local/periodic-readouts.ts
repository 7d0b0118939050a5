import type { Report } from '@greedy-infomax/crds';
import { dueReadout } from '../plan/readouts.ts';
import { evaluateRun } from './evaluation.ts';
import { InterruptedError } from './interrupted.ts';

export interface PeriodicReadoutsOptions {
  out: string;
  /** Of the slowest module, between one readout and the next; undefined: none. */
  everySamples: number | undefined;
  modules: readonly string[];
  /** Gets a line for each module that is read out, and what went wrong. */
  note: (line: string) => void;
  /** Default: the program of this project. */
  command?: readonly string[];
}

/** Reads a run out from its newest checkpoints while it trains. What fails in that does not end the run. */
export class PeriodicReadouts {
  readonly #options: PeriodicReadoutsOptions;
  readonly #stop = new AbortController();
  #evaluated = 0;
  #atWork: Promise<void> | undefined;

  constructor(options: PeriodicReadoutsOptions) {
    this.#options = options;
  }

  /** Starts the readouts that the newest reports make due, unless others are at work. */
  consider(reports: ReadonlyMap<string, Report>): void {
    const { everySamples, modules } = this.#options;
    if (everySamples === undefined || this.#atWork || this.#stop.signal.aborted) return;
    const newest = modules.flatMap((module) => reports.get(module) ?? []);
    if (newest.length < modules.length) return;
    if (newest.some(({ checkpointStep }) => checkpointStep === null)) return;
    // A run that is trained is about to be read out anyway, or wants no more of it.
    if (newest.every(({ samplesTrained, samplesTotal }) => samplesTrained >= samplesTotal)) return;
    const slowest = Math.min(...newest.map(({ samplesTrained }) => samplesTrained));
    const due = dueReadout(everySamples, slowest, this.#evaluated);
    if (due === undefined) return;
    this.#evaluated = due;
    this.#atWork = this.#readOut(due).finally(() => {
      this.#atWork = undefined;
    });
  }

  /** Ends readouts that are at work; there are no others from now on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#atWork;
  }

  async #readOut(samples: number): Promise<void> {
    const { out, note, command } = this.#options;
    const onLine = (line: string) => note(`after ${samples} samples: ${line}`);
    try {
      await evaluateRun(out, onLine, { signal: this.#stop.signal, command, pictures: false });
    } catch (error) {
      if (!(error instanceof InterruptedError)) note((error as Error).message);
    }
  }
}
