import { join } from 'node:path';
import { writeReport } from '../report/html.ts';
import { makeSummary, type Summary } from '../report/summary.ts';
import { readRecord, writeJson } from './folder.ts';

/** Writes OUT/summary.json and OUT/report.html from what the run has left in `out`. */
export async function summarise(out: string): Promise<Summary> {
  const record = readRecord(out);
  const summary = makeSummary({
    out,
    reports: new Map(record?.reports.map((report) => [report.module, report])),
    wallSeconds: record?.wallSeconds ?? 0,
    versions: record?.versions ?? {},
  });
  writeJson(join(out, 'summary.json'), summary);
  await writeReport(out);
  return summary;
}
