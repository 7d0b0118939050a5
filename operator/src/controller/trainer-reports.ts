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

/** Receives the reports of the trainers of all runs, and publishes control messages to trainers. */

export class TrainerReports {
  readonly #store: ReportStore;

  readonly #onReport: (run: RunKey, isTransition: boolean) => void;
  readonly #onDropped: (reason: string) => void;

  /**
   * `onReport` is called for each accepted report; `isTransition` is true if the report has more than new
   * figures. `expected` returns the modules of a run, undefined if it has no trainers. `onDropped` is called
   * for each rejected report.
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

  /**
   * Subscribes to the reports of all runs. With `namespace`, subscribes only to those of its runs, as in an
   * account of its own.
   */
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

  /** Number of runs with entries here. */
  get size(): number {
    return this.#store.size;
  }

  /** Returns the newest report of each replica of the run with that uid. */
  of(uid: string): Report[] {
    return this.#store.of(uid);
  }

  /** Returns the samples that each trainer of the run has trained on, including trainers that have left. */
  countsOf(uid: string): SampleCounts {
    return this.#store.countsOf(uid);
  }

  forget(uid: string): void {
    this.#store.forget(uid);
  }
}

/** Publishes to the trainers of a run which modules may end, and what they need to know about each other. */
export function publishControl(
  connection: NatsConnection,
  run: RunId,
  released: readonly string[],
  modules?: Control['modules'],
): void {
  const control: Control = { released: [...released], ...(modules && { modules }) };
  connection.publish(controlSubject(run), JSON.stringify(control));
}
