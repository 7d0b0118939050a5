import type { Report } from '@greedy-infomax/crds';
import { mergeReports, SampleCounts } from '../plan/merge-reports.ts';

/** Keeps the newest report of every trainer of a run and merges them by module. */
export class RunReports {
  readonly counts = new SampleCounts();
  readonly #byModule = new Map<string, Map<number, Report>>();

  /** `earlier`: reports of earlier sessions. They count the samples of trainers that do not return. */
  constructor(earlier: readonly Report[] = []) {
    for (const report of earlier) this.counts.note(report);
  }

  note(report: Report): void {
    this.counts.note(report);
    const ofModule = this.#byModule.get(report.module) ?? new Map<number, Report>();
    this.#byModule.set(report.module, ofModule);
    ofModule.set(report.replica, report);
  }

  /** Returns the newest report of each trainer, including trainers that have left. */
  each(module: string): Report[] {
    return [...(this.#byModule.get(module)?.values() ?? [])];
  }

  /** Returns the merged report of the module's first `trainers`, or undefined before the first report. */
  of(module: string, trainers: number): Report | undefined {
    return mergeReports(this.#present(module, trainers), this.counts.total(module));
  }

  /** Reports whether the module has used its budget; undefined while one of its first `trainers` does not know yet. */
  spent(module: string, trainers: number): boolean | undefined {
    const reports = this.#present(module, trainers);
    if (reports.some(({ phase }) => phase === 'starting' || phase === 'failed')) return undefined;
    const [first] = reports;
    return first && this.counts.total(module) >= first.samplesTotal;
  }

  /** Returns the reports of the first `trainers`, or of those that have left if none of the first has reported. */
  #present(module: string, trainers: number): Report[] {
    const reports = this.each(module);
    const present = reports.filter(({ replica }) => replica < trainers);
    return present.length > 0 ? present : reports;
  }
}
