import {
  type Control,
  controlSubject,
  type Report,
  type RunId,
  type RunKey,
  reportsOfNamespace,
} from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { SampleCounts } from '../plan/merge-reports.ts';
import { type ExpectedModules, ReportStore } from './report-store.ts';

/** What trainers of all runs report, and what they are told. */

export class TrainerReports {
  readonly #store: ReportStore;

  readonly #onReport: (run: RunKey, isTransition: boolean) => void;
  readonly #onDropped: (reason: string) => void;

  /**
   * `onReport`: called for each report that is kept; `isTransition` says whether it tells more than new figures. `expected`:
   * the modules of a run, undefined if it has no trainers. `onDropped`: called for each other report.
   */
  constructor(
    onReport: (run: RunKey, isTransition: boolean) => void,
    expected: (run: RunId) => ExpectedModules | undefined,
    onDropped: (reason: string) => void = () => {},
  ) {
    this.#store = new ReportStore(expected);
    this.#onReport = onReport;
    this.#onDropped = onDropped;
  }

  /** Subscribes to the reports of all runs; `namespace`: only to those of its runs, as in an account of its own. */
  listen(connection: NatsConnection, namespace?: string): void {
    connection.subscribe(reportsOfNamespace(namespace ?? '*'), {
      callback: (error, message) => {
        if (error) return;
        const taken = this.#store.take(message.subject, message.data);
        if ('dropped' in taken) this.#onDropped(taken.dropped);
        else this.#onReport(taken.run, taken.isTransition);
      },
    });
  }

  /** Number of runs that something is kept of. */
  get size(): number {
    return this.#store.size;
  }

  /** The newest report of each replica of the run with that uid. */
  of(uid: string): Report[] {
    return this.#store.of(uid);
  }

  /** What each trainer of the run has trained on; those that have left included. */
  countsOf(uid: string): SampleCounts {
    return this.#store.countsOf(uid);
  }

  forget(uid: string): void {
    this.#store.forget(uid);
  }
}

/** Tells the trainers of a run which modules may end, and what they need to know of one another. */
export function publishControl(
  connection: NatsConnection,
  run: RunId,
  released: readonly string[],
  modules?: Control['modules'],
): void {
  const control: Control = { released: [...released], ...(modules && { modules }) };
  connection.publish(controlSubject(run), JSON.stringify(control));
}
