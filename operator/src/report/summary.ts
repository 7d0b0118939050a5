import type { Report } from '@greedy-infomax/crds';
import { z } from 'zod';
import { formatCount, formatLoss, formatPercent, formatRate, formatSteps } from './format.ts';
import { type HistoryLine, readEvaluation, readModules } from './run-files.ts';
import { textTable } from './table.ts';

/** What came out of a run, in figures. */

const moduleSummarySchema = z.strictObject({
  name: z.string(),
  samplesTrained: z.int(),
  /** Mean of the first 10 steps; null when there was no step. */
  lossFirst: z.number().nullable(),
  /** Mean of the last steps. */
  lossLast: z.number().nullable(),
  /** Accuracies between 0 and 1; null when the module was not evaluated. */
  probeAccuracy: z.number().nullable(),
  probeAccuracyUntrained: z.number().nullable(),
  /** The same by question, where there are several: of speech the speaker, which is the above, and the phone. */
  probeAccuracies: z
    .record(z.string(), z.strictObject({ accuracy: z.number(), accuracyUntrained: z.number() }))
    .optional(),
  /** Median over the training; null when it was too short to tell. */
  samplesPerSecond: z.number().nullable(),
  /** Medians over the training; null for a module that reads the data set. */
  stalenessSteps: z.strictObject({ p50: z.number(), p95: z.number() }).nullable(),
  samplesDropped: z.int(),
  samplesReused: z.int(),
});
export type ModuleSummary = z.infer<typeof moduleSummarySchema>;

export const summarySchema = z.strictObject({
  /** From input to output. */
  modules: z.array(moduleSummarySchema),
  wallSeconds: z.number(),
  /** Versions of what ran: node, tensorflow and the like. */
  versions: z.record(z.string(), z.string()),
});
export type Summary = z.infer<typeof summarySchema>;

export interface SummaryInput {
  /** Folder of the run. */
  out: string;
  /** The last report of each module, by the module's name. */
  reports: ReadonlyMap<string, Report>;
  wallSeconds: number;
  versions: Record<string, string>;
}

/**
 * Sums up the run in `out`. A module that never reported is summed up from its history.
 * Throws a `BrokenFileError` when a file of the folder is broken.
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

/** A pair of columns for each question that the modules were asked, or one pair where there is one question. */
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

/** Titles and cells of the summary, a row a module. */
export function summaryCells({ modules }: Summary): { titles: string[]; rows: string[][] } {
  const columns = [...COLUMNS, ...probeColumns(modules)];
  return {
    titles: columns.map(([title]) => title),
    rows: modules.map((module) => columns.map(([, cell]) => cell(module))),
  };
}

/** The summary as a table for a terminal: names to the left, figures to the right; no line break at its end. */
export function summaryTable(summary: Summary): string {
  const { titles, rows } = summaryCells(summary);
  return textTable(titles, rows);
}

/** Without the first tenth, in which buffers fill and the first step is compiled. */
const steadyPart = (history: readonly HistoryLine[]): HistoryLine[] =>
  history.slice(Math.floor(history.length / 10));

function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)];
  const below = sorted[Math.ceil(sorted.length / 2) - 1];
  return above === undefined || below === undefined ? null : (above + below) / 2;
}
