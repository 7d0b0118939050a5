import type { Report } from '@greedy-infomax/crds';
import { dueEvaluation } from '../plan/due-evaluation.ts';
import { evaluateRun } from './evaluation.ts';
import { InterruptedError } from './interrupted.ts';

export interface PeriodicEvaluationOptions {
  out: string;
  /** Samples of the slowest module between two evaluations; undefined for no evaluation. */
  everySamples: number | undefined;
  modules: readonly string[];
  /** Receives one line per evaluated module, or the message of a failure. */
  note: (line: string) => void;
  /** Command of the evaluation. Default: the program of this project. */
  command?: readonly string[];
}

/** Evaluates the newest checkpoints of a run while it trains. A failed evaluation does not end the run. */
export class PeriodicEvaluation {
  readonly #options: PeriodicEvaluationOptions;
  readonly #stop = new AbortController();
  #evaluated = 0;
  #atWork: Promise<void> | undefined;

  constructor(options: PeriodicEvaluationOptions) {
    this.#options = options;
  }

  /** Starts an evaluation if one is due by `reports` and none is running. */
  consider(reports: ReadonlyMap<string, Report>): void {
    const { everySamples, modules } = this.#options;
    if (everySamples === undefined || this.#atWork || this.#stop.signal.aborted) return;
    const newest = modules.flatMap((module) => reports.get(module) ?? []);
    if (newest.length < modules.length) return;
    if (newest.some(({ checkpointStep }) => checkpointStep === null)) return;
    // A completed run gets its final evaluation elsewhere, if it asks for one.
    if (newest.every(({ samplesTrained, samplesTotal }) => samplesTrained >= samplesTotal)) return;
    const slowest = Math.min(...newest.map(({ samplesTrained }) => samplesTrained));
    const due = dueEvaluation(everySamples, slowest, this.#evaluated);
    if (due === undefined) return;
    this.#evaluated = due;
    this.#atWork = this.#evaluate(due).finally(() => {
      this.#atWork = undefined;
    });
  }

  /** Stops the running evaluation and prevents new ones. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#atWork;
  }

  async #evaluate(samples: number): Promise<void> {
    const { out, note, command } = this.#options;
    const onLine = (line: string) => note(`after ${samples} samples: ${line}`);
    try {
      await evaluateRun(out, onLine, { signal: this.#stop.signal, command, pictures: false });
    } catch (error) {
      if (!(error instanceof InterruptedError)) note((error as Error).message);
    }
  }
}
