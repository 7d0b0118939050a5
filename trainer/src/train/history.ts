import { appendFileSync, existsSync } from 'node:fs';
import { type Report, readWhole, writeWhole } from '@greedy-infomax/crds';

/** History of a training: one JSON line about once a second. The HTML report draws its curves from it. */

export type HistoryLine = Pick<
  Report,
  | 'step'
  | 'loss'
  | 'samplesPerSecond'
  | 'stalenessSteps'
  | 'stalenessSeconds'
  | 'samplesDropped'
  | 'samplesReused'
  | 'memoryBytes'
  | 'at'
> & { samples: number };

/** Returns the fields of a report that the history keeps. */
export const historyLine = (report: Report): HistoryLine => ({
  step: report.step,
  samples: report.samplesTrained,
  loss: report.loss,
  samplesPerSecond: report.samplesPerSecond,
  stalenessSteps: report.stalenessSteps,
  stalenessSeconds: report.stalenessSeconds,
  samplesDropped: report.samplesDropped,
  samplesReused: report.samplesReused,
  memoryBytes: report.memoryBytes,
  at: report.at,
});

/** Appends a line to the history. */
export const appendHistory = (file: string, line: HistoryLine): void =>
  appendFileSync(file, `${JSON.stringify(line)}\n`);

/** Removes all lines after step `step`, because training continues from there. */
export function rewindHistory(file: string, step: number): void {
  if (!existsSync(file)) return;
  const kept = readHistory(file).filter((line) => line.step <= step);
  writeWhole(file, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** Returns all valid lines; skips damaged ones, such as a last line that is cut short. */
export function readHistory(file: string): HistoryLine[] {
  return readWhole(file)
    .toString('utf8')
    .split('\n')
    .flatMap((text) => {
      try {
        const line = JSON.parse(text) as HistoryLine | null;
        return Number.isInteger(line?.step) ? [line as HistoryLine] : [];
      } catch {
        return [];
      }
    });
}
