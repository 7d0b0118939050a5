import type { Report } from '@greedy-infomax/crds';
import { greatest, mean, mergePercentiles, SampleCounts } from '../merge-reports.ts';
import type { Figures } from './types.ts';

/** Returns the figures of a module from the reports of its trainers; its former figures without reports. */
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
    loss: loss === null ? old.loss : rounded(loss, 4),
    samplesPerSecond: training.length > 0 ? rate : undefined,
    stalenessSteps: staleness(reports.map((r) => r.stalenessSteps)) ?? old.stalenessSteps,
    stalenessSeconds: staleness(reports.map((r) => r.stalenessSeconds)) ?? old.stalenessSeconds,
    samplesDropped: sum(reports, (r) => r.samplesDropped),
    samplesReused: sum(reports, (r) => r.samplesReused),
    checkpointStep: greatest(reports.map((r) => r.checkpointStep)) ?? old.checkpointStep,
  });
}

/** Samples of all trainers, past ones included; undefined before a trainer knows its progress. */
function samplesOf(reports: readonly Report[]): number | undefined {
  const counts = new SampleCounts();
  for (const report of reports) counts.note(report);
  const [first] = reports;
  const known = first && Object.keys(counts.of(first.module)).length > 0;
  return known ? counts.total(first.module) : undefined;
}

/** Figures that stay valid for a module without trainers: all but its speed. */
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

/** Returns only the figures of an object with more fields. */
export const pickFigures = (from: Figures): Figures =>
  present(Object.fromEntries(KEYS.map((key) => [key, from[key]])) as Figures);

const present = (figures: Figures): Figures =>
  Object.fromEntries(Object.entries(figures).filter(([, value]) => value !== undefined));

function staleness(values: readonly Report['stalenessSteps'][]): Figures['stalenessSteps'] {
  const merged = mergePercentiles(values);
  return merged ? { p50: rounded(merged.p50, 2), p95: rounded(merged.p95, 2) } : undefined;
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
