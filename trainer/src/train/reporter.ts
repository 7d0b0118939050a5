import { writeFileSync } from 'node:fs';
import type { ModuleConfig, Report } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import type { ControlChannel } from './control-channel.ts';
import { appendHistory, historyLine } from './history.ts';
import { Meter } from './meter.ts';

/** Milliseconds between reports, and between lines of the history. */
export const REPORT_EVERY = 1000;

/** What only the trainer knows. */
export type Facts = Pick<
  Report,
  'step' | 'samplesTrained' | 'samplesDropped' | 'samplesReused' | 'checkpointStep' | 'others'
>;

/** Tells the operator, the log and the history how the training goes. */
export class Reporter {
  meter = new Meter();
  phase: Report['phase'] = 'starting';
  /** What went wrong last, until it is mended. */
  message: string | undefined;
  readonly #options: { config: ModuleConfig; replica: number; log: Logger };
  readonly #channel: ControlChannel;
  readonly #history: string;
  readonly #progressFile = process.env.PROGRESS_FILE;
  readonly #facts: () => Facts;
  /** Of the clock that nobody sets: one that is set back must not silence a trainer. */
  #reportAt = 0;

  constructor(
    options: { config: ModuleConfig; replica: number; log: Logger },
    channel: ControlChannel,
    history: string,
    facts: () => Facts,
  ) {
    this.#options = options;
    this.#channel = channel;
    this.#history = history;
    this.#facts = facts;
  }

  enter(phase: Report['phase']): void {
    if (phase !== this.phase) {
      // However short the training was, the history has its end.
      if (this.phase === 'training') this.#report();
      this.#options.log.info({ phase }, 'phase');
    }
    this.phase = phase;
    this.#report();
  }

  /** Reports if the last report is old enough. */
  tick(): void {
    if (performance.now() - this.#reportAt >= REPORT_EVERY) this.#report();
  }

  #report(): void {
    const { config, replica } = this.#options;
    const at = Date.now();
    this.#reportAt = performance.now();
    const report: Report = {
      run: config.uid,
      module: config.name,
      replica,
      phase: this.phase,
      samplesTotal: config.budget,
      ...this.#facts(),
      ...this.meter.read(performance.now()),
      memoryBytes: 1024 * process.resourceUsage().maxRSS, // which is in kB
      message: this.message?.slice(0, 1024),
      at,
    };
    this.#channel.report(report);
    this.#write(report);
  }

  /** A full disk costs lines of the history, not the training. */
  #write(report: Report): void {
    try {
      // A step that hangs stops this clock, too: the probes of a pod look at the age of the file.
      if (this.#progressFile) writeFileSync(this.#progressFile, `${report.at}\n`);
      if (report.phase === 'training' && report.step > 0) {
        appendHistory(this.#history, historyLine(report));
      }
    } catch (error) {
      this.message ??= `cannot write the history: ${(error as Error).message}`;
    }
  }
}
