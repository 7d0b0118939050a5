import { writeFileSync } from 'node:fs';
import type { ModuleConfig, Report } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import type { SourceCounters } from '../buffer/worker-protocol.ts';
import type { ControlChannel } from './control-channel.ts';
import { appendHistory, historyLine } from './history.ts';
import { Meter } from './meter.ts';

/** Milliseconds between reports, and between lines of the history. */
export const REPORT_EVERY = 1000;

/** Fields of a report that only the trainer knows. */
export type Facts = Pick<
  Report,
  'step' | 'samplesTrained' | 'samplesDropped' | 'samplesReused' | 'checkpointStep' | 'others'
>;

/** Reports the progress of a training to the operator, the log and the history. */
export class Reporter {
  meter = new Meter();
  phase: Report['phase'] = 'starting';
  /** Current problem, for the operator; undefined if there is none. */
  message: string | undefined;
  readonly #options: { config: ModuleConfig; replica: number; log: Logger };
  readonly #channel: ControlChannel;
  /** Path of the history. */
  readonly history: string;
  readonly refusals: Refusals;
  readonly #progressFile = process.env.PROGRESS_FILE;
  readonly #facts: () => Facts;
  /** Time of the last report on the monotonic clock: a system clock that is set back must not stop reports. */
  #reportAt = 0;

  constructor(
    options: { config: ModuleConfig; replica: number; log: Logger },
    channel: ControlChannel,
    history: string,
    facts: () => Facts,
  ) {
    this.#options = options;
    this.#channel = channel;
    this.history = history;
    this.refusals = new Refusals(options.log);
    this.#facts = facts;
  }

  /** Starts a phase and reports it. */
  enter(phase: Report['phase']): void {
    if (phase !== this.phase) {
      // Gives the history its last line, even for a short training.
      if (this.phase === 'training') this.#report();
      this.#options.log.info({ phase }, 'phase');
    }
    this.phase = phase;
    this.#report();
  }

  /** Reports a failure with its message. */
  fail(error: Error): void {
    this.message = error.message;
    this.enter('failed');
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
      memoryBytes: 1024 * process.resourceUsage().maxRSS, // maxRSS is in kB
      message: this.message?.slice(0, 1024),
      at,
    };
    this.#channel.report(report);
    this.#write(report);
  }

  /** Writes the progress file and the history. A full disk costs lines of the history, not the training. */
  #write(report: Report): void {
    try {
      // The probes of a pod read the age of this file: it stops changing if a step hangs.
      if (this.#progressFile) writeFileSync(this.#progressFile, `${report.at}\n`);
      if (report.phase === 'training' && report.step > 0) {
        appendHistory(this.history, historyLine(report));
      }
    } catch (error) {
      this.message ??= `cannot write the history: ${(error as Error).message}`;
    }
  }
}

/** Number of refused messages, and the reason for the last one. */
export type Refused = Pick<SourceCounters, 'refused' | 'refusal'>;

/** Logs messages that an edge refused. */
export class Refusals {
  readonly #log: Logger;
  /** Refused messages that are logged, and the time of the last line. */
  #logged = 0;
  #loggedAt = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Logs a change of `refused`, the total since the start, at most once in `every` milliseconds. */
  note({ refused, refusal }: Refused, every = REPORT_EVERY): void {
    if (refused === this.#logged || performance.now() - this.#loggedAt < every) return;
    this.#log.warn(
      { refused, why: refusal },
      'refused messages that are not activations of this edge',
    );
    this.#logged = refused;
    this.#loggedAt = performance.now();
  }
}
