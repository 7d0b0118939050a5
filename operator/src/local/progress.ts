import type { Report } from '@greedy-infomax/crds';
import { formatCount, formatDuration, formatLoss, formatRate } from '../report/format.ts';
import type { TrainerState } from './trainer-process.ts';

/** Formats the progress of a run while it trains. */

export interface ModuleProgress {
  name: string;
  process: TrainerState;
  /** Number of trainers. Default: 1. */
  trainers?: number;
  restarts: number;
  /** Newest report; null before the first. */
  report: Report | null;
}

export interface ProgressState {
  run: string;
  /** Start of the run, in milliseconds since the epoch. */
  startedAt: number;
  modules: readonly ModuleProgress[];
}

const BAR = 20;

/** Returns a title and a line per module, and its message, in lines of at most `width` characters. `now` is in milliseconds since the epoch. */
export function progressLines(state: ProgressState, now: number, width: number): string[] {
  const name = Math.max(...state.modules.map((module) => module.name.length));
  const lines = state.modules.flatMap((module) => {
    const done = fraction(module.report);
    const bar = '█'.repeat(Math.round(done * BAR)).padEnd(BAR, '░');
    const line = `${module.name.padEnd(name)}  ${phaseOf(module).padEnd(10)}  ${bar} ${figures(module)}`;
    return [line, ...broken(module.report?.message ?? '', width - 2).map((part) => `  ${part}`)];
  });
  const elapsed = formatDuration((now - state.startedAt) / 1000);
  return [`${state.run}  ${elapsed}`, ...lines].map((line) => line.slice(0, Math.max(0, width)));
}

/** Breaks text into lines of `width` characters. */
const broken = (text: string, width: number): string[] =>
  Array.from({ length: Math.ceil(text.length / Math.max(1, width)) }, (_, i) =>
    text.slice(i * width, (i + 1) * width),
  );

/** Returns one line for a module without padding, for a log. */
export const compactLine = (module: ModuleProgress): string =>
  [`${module.name}: ${phaseOf(module)} ${figures(module)}`, module.report?.message]
    .filter(Boolean)
    .join('  ');

/** Returns the phase of a module in one word. */
export function phaseOf({ process, report }: ModuleProgress): string {
  if (process === 'idle') return 'waits';
  if (process === 'waiting') return 'restarting';
  if (process === 'done') return 'finished';
  if (process === 'stopped' || process === 'failed') return process;
  return report?.phase ?? 'starting';
}

function figures({ report, restarts, process, trainers = 1 }: ModuleProgress): string {
  if (report === null) return '  0%';
  const { loss, samplesPerSecond, stalenessSteps, samplesDropped, samplesTrained } = report;
  const left = report.samplesTotal - samplesTrained;
  const trains = process === 'running' && report.phase === 'training';
  const parts = [
    `${String(Math.floor(100 * fraction(report))).padStart(3)}%`,
    trains && samplesPerSecond > 0 && `ETA ${formatDuration(left / samplesPerSecond)}`,
    `loss ${formatLoss(loss)}`,
    `${formatRate(samplesPerSecond)} samples/s`,
    stalenessSteps && `stale ${formatRate(stalenessSteps.p50)}/${formatRate(stalenessSteps.p95)}`,
    samplesDropped > 0 && `dropped ${formatCount(samplesDropped)}`,
    trainers !== 1 && `trainers ${trainers}`,
    restarts > 0 && `restarts ${restarts}`,
  ];
  return parts.filter(Boolean).join('  ');
}

const fraction = (report: Report | null): number =>
  report === null || report.samplesTotal === 0
    ? 0
    : Math.min(1, report.samplesTrained / report.samplesTotal);
