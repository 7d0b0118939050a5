import type { Report } from '@greedy-infomax/crds';
import { SampleCounts } from '../merge-reports.ts';
import type { Figures } from './types.ts';

/** The figures of a module from the reports of its trainers; those it had where there are none. */
export function figuresOf(reports: readonly Report[], old: Figures = {}): Figures {
  if (reports.length === 0) return lasting(old);
  const samples = samplesOf(reports) ?? old.samples ?? 0;
  // The budget is the module's, however many trainers spend it.
  const total = Math.max(...reports.map((r) => r.samplesTotal));
  const training = reports.filter(({ phase }) => phase === 'training');
  const rate = rounded(
    sum(training, (r) => r.samplesPerSecond),
    1,
  );
  const loss = mean(reports.map((r) => r.loss));
  return present({
    step: Math.max(...reports.map((r) => r.step)),
    samples,
    percent: total > 0 ? Math.min(100, Math.floor((100 * samples) / total)) : 0,
    etaSeconds: rate > 0 ? Math.max(0, Math.ceil((total - samples) / rate)) : undefined,
    // A trainer that starts again has made no step yet, which does not undo what was known.
    loss: loss === undefined ? old.loss : rounded(loss, 4),
    samplesPerSecond: training.length > 0 ? rate : undefined,
    stalenessSteps: percentiles(reports.map((r) => r.stalenessSteps)) ?? old.stalenessSteps,
    stalenessSeconds: percentiles(reports.map((r) => r.stalenessSeconds)) ?? old.stalenessSeconds,
    samplesDropped: sum(reports, (r) => r.samplesDropped),
    samplesReused: sum(reports, (r) => r.samplesReused),
    checkpointStep: greatest(reports.map((r) => r.checkpointStep)) ?? old.checkpointStep,
  });
}

/** Of all trainers that there ever were; undefined before one of them knows how far it had come. */
function samplesOf(reports: readonly Report[]): number | undefined {
  const counts = new SampleCounts();
  for (const report of reports) counts.note(report);
  const [first] = reports;
  const known = first && Object.keys(counts.of(first.module)).length > 0;
  return known ? counts.total(first.module) : undefined;
}

/** What stays true of a module without trainers: all but its speed. */
const lasting = ({ samplesPerSecond, etaSeconds, ...rest }: Figures): Figures => pickFigures(rest);

const KEYS = [
  'step',
  'samples',
  'percent',
  'etaSeconds',
  'loss',
  'samplesPerSecond',
  'stalenessSteps',
  'stalenessSeconds',
  'samplesDropped',
  'samplesReused',
  'checkpointStep',
] as const satisfies (keyof Figures)[];

/** The figures alone, of something that has more. */
export const pickFigures = (from: Figures): Figures =>
  present(Object.fromEntries(KEYS.map((key) => [key, from[key]])) as Figures);

const present = (figures: Figures): Figures =>
  Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));

type MaybePercentiles = Report['stalenessSteps'];

/** The middle of the trainers' medians, and the worst of their tails. */
function percentiles(values: readonly MaybePercentiles[]): Figures['stalenessSteps'] {
  const known = values.filter((value) => value !== null);
  const p50 = mean(known.map((value) => value.p50));
  if (p50 === undefined) return undefined;
  return { p50: rounded(p50, 2), p95: rounded(Math.max(...known.map((v) => v.p95)), 2) };
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

function mean(values: readonly (number | null)[]): number | undefined {
  const known = values.filter((value): value is number => Number.isFinite(value));
  return known.length > 0 ? sum(known, (value) => value) / known.length : undefined;
}

function greatest(values: readonly (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? Math.max(...known) : undefined;
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
