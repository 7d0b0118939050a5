import { below, type Report } from '@greedy-infomax/crds';
import { mergeReports, SampleCounts } from '../plan/merge-reports.ts';
import { writeReport } from '../report/html.ts';
import { makeSummary, type Summary } from '../report/summary.ts';
import { readRecord, writeJson } from './folder.ts';

/** Writes OUT/summary.json and OUT/report.html from the files of the run in `out`. */
export async function summarise(out: string): Promise<Summary> {
  const record = readRecord(out);
  const summary = makeSummary({
    out,
    reports: merged(record?.reports ?? []),
    wallSeconds: record?.wallSeconds ?? 0,
    versions: record?.versions ?? {},
  });
  writeJson(below(out, 'summary.json'), summary);
  await writeReport(out);
  return summary;
}

/** Merges the reports of each module's trainers. */
function merged(reports: readonly Report[]): Map<string, Report> {
  const counts = new SampleCounts();
  for (const report of reports) counts.note(report);
  return new Map(
    reports.flatMap(({ module }) => {
      const own = reports.filter((report) => report.module === module);
      const report = mergeReports(own, counts.total(module));
      return report ? [[module, report] as const] : [];
    }),
  );
}
