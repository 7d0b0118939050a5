import type { Report } from '@greedy-infomax/crds';
import { mergeReports, SampleCounts } from '../plan/merge-reports.ts';

/** The newest report of every trainer of a run, and what they say of each module. */
export class RunReports {
  readonly counts = new SampleCounts();
  readonly #byModule = new Map<string, Map<number, Report>>();

  /** `earlier`: reports of sessions before this one, for what trainers have done that do not come back. */
  constructor(earlier: readonly Report[] = []) {
    for (const report of earlier) this.counts.note(report);
  }

  note(report: Report): void {
    this.counts.note(report);
    const ofModule = this.#byModule.get(report.module) ?? new Map<number, Report>();
    this.#byModule.set(report.module, ofModule);
    ofModule.set(report.replica, report);
  }

  /** One a trainer, also of those that have left. */
  each(module: string): Report[] {
    return [...(this.#byModule.get(module)?.values() ?? [])];
  }

  /** What the first `trainers` of the module say together; undefined before the first report. */
  of(module: string, trainers: number): Report | undefined {
    return mergeReports(this.#present(module, trainers), this.counts.total(module));
  }

  /** Whether the module has trained on all that it may; undefined when its first `trainers` do not know yet. */
  spent(module: string, trainers: number): boolean | undefined {
    const reports = this.#present(module, trainers);
    if (reports.some(({ phase }) => phase === 'starting' || phase === 'failed')) return undefined;
    const [first] = reports;
    return first && this.counts.total(module) >= first.samplesTotal;
  }

  /** Of the first `trainers`; of those that have left while none of them has reported. */
  #present(module: string, trainers: number): Report[] {
    const reports = this.each(module);
    const present = reports.filter(({ replica }) => replica < trainers);
    return present.length > 0 ? present : reports;
  }
}
