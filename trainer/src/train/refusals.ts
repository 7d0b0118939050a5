import type { Logger } from 'pino';
import { REPORT_EVERY } from './reporter.ts';

/** Says in the log that messages came over the edge which are none of its own. */
export class Refusals {
  readonly #log: Logger;
  /** Messages told of, and when. */
  #told = 0;
  #toldAt = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** `refused`: of them since the start. Once a report, unless `every` says another number of milliseconds. */
  note(refused: number, every = REPORT_EVERY): void {
    if (refused === this.#told || performance.now() - this.#toldAt < every) return;
    this.#log.warn({ refused }, 'passed over messages that are no activations of this edge');
    this.#told = refused;
    this.#toldAt = performance.now();
  }
}
