import type { Report } from '@greedy-infomax/crds';
import { z } from 'zod';
import { formatCount, formatLoss, formatPercent, formatRate, formatSteps } from './format.ts';
import { type HistoryLine, readEvaluation, readModules } from './run-files.ts';
import { textTable } from './table.ts';

/** Results of a run as numbers. */

const moduleSummarySchema = z.strictObject({
  name: z.string(),
  samplesTrained: z.int(),
  /** Mean of the first 10 steps; null without steps. */
  lossFirst: z.number().nullable(),
  /** Mean of the last steps. */
  lossLast: z.number().nullable(),
  /** Accuracies between 0 and 1; null if the module was not evaluated. */
  probeAccuracy: z.number().nullable(),
  probeAccuracyUntrained: z.number().nullable(),
  /** Accuracies by question, if there are several: for speech, speaker (the accuracy above) and phone. */
  probeAccuracies: z
    .record(z.string(), z.strictObject({ accuracy: z.number(), accuracyUntrained: z.number() }))
    .optional(),
  /** Median over the training; null if it was too short. */
  samplesPerSecond: z.number().nullable(),
  /** Medians over the training; null for a module that reads the data set. */
  stalenessSteps: z.strictObject({ p50: z.number(), p95: z.number() }).nullable(),
  samplesDropped: z.int(),
  samplesReused: z.int(),
});
export type ModuleSummary = z.infer<typeof moduleSummarySchema>;

export const summarySchema = z.strictObject({
  /** Modules from input to output. */
  modules: z.array(moduleSummarySchema),
  wallSeconds: z.number(),
  /** Versions of Node, TensorFlow and nats-server, by name. */
  versions: z.record(z.string(), z.string()),
});
export type Summary = z.infer<typeof summarySchema>;

export interface SummaryInput {
  /** Folder of the run. */
  out: string;
  /** Last report of each module, by module name. */
  reports: ReadonlyMap<string, Report>;
  wallSeconds: number;
  versions: Record<string, string>;
}

/**
 * Returns the summary of the run in `out`. Uses the history of a module that never reported.
 * Throws a `BrokenFileError` if a file of the folder is broken.
 */
export function makeSummary({ out, reports, wallSeconds, versions }: SummaryInput): Summary {
  const accuracies = new Map(readEvaluation(out)?.modules.map((entry) => [entry.name, entry]));
  const modules = readModules(out).map(({ config: { name }, history }): ModuleSummary => {
    const report = reports.get(name);
    const last = history.at(-1);
    const steady = steadyPart(history);
    const staleness = steady.flatMap(({ stalenessSteps }) => stalenessSteps ?? []);
    const p50 = median(staleness.map((steps) => steps.p50));
    const p95 = median(staleness.map((steps) => steps.p95));
    return {
      name,
      samplesTrained: report?.samplesTrained ?? last?.samples ?? 0,
      lossFirst: report?.lossFirst ?? history[0]?.loss ?? null,
      lossLast: report?.loss ?? last?.loss ?? null,
      probeAccuracy: accuracies.get(name)?.accuracy ?? null,
      probeAccuracyUntrained: accuracies.get(name)?.accuracyUntrained ?? null,
      probeAccuracies: accuracies.get(name)?.accuracies,
      samplesPerSecond: median(steady.map((line) => line.samplesPerSecond)),
      stalenessSteps: p50 === null || p95 === null ? null : { p50, p95 },
      samplesDropped: report?.samplesDropped ?? last?.samplesDropped ?? 0,
      samplesReused: report?.samplesReused ?? last?.samplesReused ?? 0,
    };
  });
  return { modules, wallSeconds, versions };
}

type Column = readonly [title: string, cell: (module: ModuleSummary) => string];

const COLUMNS: readonly Column[] = [
  ['module', ({ name }) => name],
  ['samples', ({ samplesTrained }) => formatCount(samplesTrained)],
  ['loss', ({ lossFirst, lossLast }) => `${formatLoss(lossFirst)} -> ${formatLoss(lossLast)}`],
  ['samples/s', ({ samplesPerSecond }) => formatRate(samplesPerSecond)],
  ['stale p50/p95', ({ stalenessSteps }) => formatSteps(stalenessSteps)],
  ['dropped', ({ samplesDropped }) => formatCount(samplesDropped)],
  ['reused', ({ samplesReused }) => formatCount(samplesReused)],
];

const PROBE: readonly Column[] = [
  ['probe', ({ probeAccuracy }) => formatPercent(probeAccuracy)],
  ['untrained', ({ probeAccuracyUntrained }) => formatPercent(probeAccuracyUntrained)],
];

/** Returns a pair of columns per question, or one pair if there is only one question. */
function probeColumns(modules: readonly ModuleSummary[]): readonly Column[] {
  const questions = new Set(modules.flatMap((module) => Object.keys(module.probeAccuracies ?? {})));
  if (questions.size === 0) return PROBE;
  return [...questions].flatMap((question): Column[] => {
    const found = ({ probeAccuracies }: ModuleSummary) => probeAccuracies?.[question];
    return [
      [question, (module) => formatPercent(found(module)?.accuracy ?? null)],
      ['untrained', (module) => formatPercent(found(module)?.accuracyUntrained ?? null)],
    ];
  });
}

/** Returns the titles and cells of the summary, one row per module. */
export function summaryCells({ modules }: Summary): { titles: string[]; rows: string[][] } {
  const columns = [...COLUMNS, ...probeColumns(modules)];
  return {
    titles: columns.map(([title]) => title),
    rows: modules.map((module) => columns.map(([, cell]) => cell(module))),
  };
}

/** Formats the summary as a table for a terminal. Aligns names left, numbers right. Without a final line break. */
export function summaryTable(summary: Summary): string {
  const { titles, rows } = summaryCells(summary);
  return textTable(titles, rows);
}

/** Returns the history without its first tenth, while buffers fill and the first step is compiled. */
const steadyPart = (history: readonly HistoryLine[]): HistoryLine[] =>
  history.slice(Math.floor(history.length / 10));

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)];
  const below = sorted[Math.ceil(sorted.length / 2) - 1];
  return above === undefined || below === undefined ? null : (above + below) / 2;
}
