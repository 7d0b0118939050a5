import { type Report, type RunId, type RunKey, reportSchema } from '@greedy-infomax/crds';
import { SampleCounts } from '../plan/merge-reports.ts';

/**
 * Maximum bytes of one report. A report has about 700, and at most 20 for each other replica of its module.
 */
export const REPORT_BYTES_MAX = 32_768;
/** Maximum bytes of the reports that are kept of one run, as received. */
export const RUN_BYTES_MAX = 4_194_304;

/** Modules of a run that has trainers, with the number of replicas of each. */
export type ExpectedModules = readonly { name: string; replicas: number }[];

/** Result of taking a message. `isTransition` is true if the report has more than new figures. */
export type Taken =
  | { run: RunKey; isTransition: boolean }
  | { dropped: 'subject' | 'unknownRun' | 'unknownReplica' | 'tooLarge' | 'invalid' | 'runFull' };

interface Kept {
  /** By module and replica, as `first/0`. */
  reports: Map<string, { report: Report; bytes: number }>;
  /** Maximum number of replicas that each module has had; replicas that leave send one more report. */
  replicas: Map<string, number>;
  counts: SampleCounts;
  /** Total bytes of all reports. */
  bytes: number;
}

/**
 * Newest report of each replica of the runs that have trainers. The subject, which NATS authorizes, identifies
 * the sender. Reports of unexpected runs, modules and replicas are dropped.
 */
export class ReportStore {
  readonly #expected: (run: RunId) => ExpectedModules | undefined;
  /** Entries by uid of the run. */
  readonly #byRun = new Map<string, Kept>();

  /** `expected` returns undefined for a run without trainers, and for a uid that belongs to another run. */
  constructor(expected: (run: RunId) => ExpectedModules | undefined) {
    this.#expected = expected;
  }

  /** Number of runs with entries here. */
  get size(): number {
    return this.#byRun.size;
  }

  /** Returns the newest report of each replica of the run with that uid. */
  of(uid: string): Report[] {
    return [...(this.#byRun.get(uid)?.reports.values() ?? [])].map(({ report }) => report);
  }

  /** Returns the samples that each replica of the run has trained on, including replicas that have left. */
  countsOf(uid: string): SampleCounts {
    return this.#byRun.get(uid)?.counts ?? new SampleCounts();
  }

  forget(uid: string): void {
    this.#byRun.delete(uid);
  }

  /** Keeps a report received on `subject`, or returns why it is rejected. */
  take(subject: string, data: Uint8Array): Taken {
    const [prefix, namespace, name, uid, kind, module, replica, ...rest] = subject.split('.');
    if (prefix !== 'gim' || kind !== 'report' || rest.length > 0) return { dropped: 'subject' };
    if (!namespace || !name || !uid || !module || !/^\d{1,3}$/.test(replica ?? '')) {
      return { dropped: 'subject' };
    }
    const modules = this.#expected({ namespace, name, uid });
    if (modules === undefined) return { dropped: 'unknownRun' };
    const kept = this.#byRun.get(uid) ?? {
      reports: new Map(),
      replicas: new Map(),
      counts: new SampleCounts(),
      bytes: 0,
    };
    const expected = modules.find((each) => each.name === module)?.replicas ?? 0;
    const replicas = Math.max(expected, kept.replicas.get(module) ?? 0);
    if (Number(replica) >= replicas) return { dropped: 'unknownReplica' };
    if (data.length > REPORT_BYTES_MAX) return { dropped: 'tooLarge' };
    const parsed = parse(data);
    if (parsed === null || parsed.run !== uid) return { dropped: 'invalid' };
    const report = { ...parsed, run: uid, module, replica: Number(replica) };
    const key = `${module}/${report.replica}`;
    const before = kept.reports.get(key);
    const bytes = kept.bytes - (before?.bytes ?? 0) + data.length;
    if (bytes > RUN_BYTES_MAX) return { dropped: 'runFull' };
    kept.bytes = bytes;
    kept.replicas.set(module, replicas);
    kept.reports.set(key, { report, bytes: data.length });
    kept.counts.note(report);
    this.#byRun.set(uid, kept);
    const isTransition =
      before?.report.phase !== report.phase || before.report.message !== report.message;
    return { run: { namespace, name }, isTransition };
  }
}

function parse(data: Uint8Array): Report | null {
  try {
    return reportSchema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return null;
  }
}
