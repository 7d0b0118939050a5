import {
  ALL_REPORTS,
  type Control,
  controlSubject,
  type Report,
  type RunId,
  type RunKey,
  reportSchema,
} from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import { SampleCounts } from '../plan/merge-reports.ts';

/** What trainers of all runs report, and what they are told. */

export class TrainerReports {
  /** By uid of the run, then by module and replica. */
  readonly #byRun = new Map<string, Map<string, Report>>();
  /** By uid of the run. */
  readonly #counts = new Map<string, SampleCounts>();

  /** `onReport` also learns whether the report says more than new figures. */
  constructor(connection: NatsConnection, onReport: (run: RunKey, isTransition: boolean) => void) {
    connection.subscribe(ALL_REPORTS, {
      callback: (error, message) => {
        if (error) return;
        const report = parse(message.data);
        const [, namespace = '', name = '', uid] = message.subject.split('.');
        // The subject is what the sender's credentials allow; the body may say anything.
        if (report === null || report.run !== uid) return;
        onReport({ namespace, name }, this.#store(report));
      },
    });
  }

  /** The newest of each replica of the run with that uid. */
  of(uid: string): Report[] {
    return [...(this.#byRun.get(uid)?.values() ?? [])];
  }

  /** What each trainer of the run has trained on; those that have left included. */
  countsOf(uid: string): SampleCounts {
    return this.#counts.get(uid) ?? new SampleCounts();
  }

  forget(uid: string): void {
    this.#byRun.delete(uid);
    this.#counts.delete(uid);
  }

  #store(report: Report): boolean {
    const ofRun = this.#byRun.get(report.run) ?? new Map<string, Report>();
    this.#byRun.set(report.run, ofRun);
    const counts = this.countsOf(report.run);
    counts.note(report);
    this.#counts.set(report.run, counts);
    const key = `${report.module}/${report.replica}`;
    const before = ofRun.get(key);
    ofRun.set(key, report);
    return before?.phase !== report.phase || before.message !== report.message;
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

function parse(data: Uint8Array): Report | null {
  try {
    return reportSchema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return null;
  }
}
