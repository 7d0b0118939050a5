import type { Logger } from 'pino';
import type { SourceCounters } from '../buffer/worker-protocol.ts';
import { REPORT_EVERY } from './reporter.ts';

export type Refused = Pick<SourceCounters, 'refused' | 'refusal'>;

/** Logs messages that an edge refused. */
export class Refusals {
  readonly #log: Logger;
  /** Refused messages that the log tells of, and when it last did. */
  #told = 0;
  #toldAt = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Logs a change of `refused`, counted since the start, at most once every so many milliseconds. */
  note({ refused, refusal }: Refused, every = REPORT_EVERY): void {
    if (refused === this.#told || performance.now() - this.#toldAt < every) return;
    this.#log.warn(
      { refused, why: refusal },
      'refused messages that are no activations of this edge',
    );
    this.#told = refused;
    this.#toldAt = performance.now();
  }
}
