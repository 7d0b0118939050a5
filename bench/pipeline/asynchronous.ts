import { type ModuleRecord, readModules } from '../../operator/src/report/run-files.ts';
import { GIM, TrainingError, trainBy, trainingTimes } from '../training.ts';
import { WARM_UP } from './warm-up.ts';

/** A training with one process per module, as a user starts it. */

export interface Training {
  /**
   * Seconds from the time every module has made its first steps to the last step of the last
   * module.
   */
  samplesPerSecond: number;
  /** CPU seconds of all processes for a thousand samples, including their start. */
  cpu: number;
  /** For each module except the first: median of the medians that its trainer recorded. */
  ageSeconds: number[];
}

/** `slowdown`: value of the trainers' variable SLOWDOWN. Throws a `TrainingError`. */
export async function trainAsynchronously(
  file: string,
  out: string,
  samples: number,
  { slowdown, sharedMemory = true }: { slowdown?: string; sharedMemory?: boolean } = {},
): Promise<Training> {
  const timed = ['-c', '"$@"; code=$?; times; exit $code', 'times'] as const;
  const said = await trainBy(
    [
      ...['bash', ...timed, GIM, 'run', file, '--out', out, '--no-evaluate'],
      ...(sharedMemory ? [] : ['--no-shared-memory']),
    ] as [string, ...string[]],
    out,
    slowdown ? { SLOWDOWN: slowdown } : {},
  );
  const modules = readModules(out);
  return {
    samplesPerSecond: rateOf(out, modules, samples),
    cpu: (1000 * cpuSeconds(said)) / samples,
    ageSeconds: modules.slice(1).map(({ history }) => {
      const ages = history.flatMap(({ stalenessSeconds }) => stalenessSeconds?.p50 ?? []);
      return ages.toSorted((a, b) => a - b)[ages.length >> 1] ?? Number.NaN;
    }),
  };
}

/** Share of the budget that is left when the last module is warm. */
function rateOf(out: string, modules: readonly ModuleRecord[], samples: number): number {
  const warmAt = Math.max(
    ...modules.map(({ history }) => history.find(({ step }) => step >= WARM_UP)?.at ?? Number.NaN),
  );
  const trained = modules.map(
    ({ history }) => history.findLast(({ at }) => at <= warmAt)?.samples ?? 0,
  );
  const end = Math.max(...modules.map(({ config }) => trainingTimes(out, config.name).to));
  return (1000 * (samples - Math.max(...trained))) / (end - warmAt);
}

/** Time of all processes that a shell started: the last line of its `times`, user and system. */
function cpuSeconds(said: string): number {
  const last = said.trim().split('\n').at(-1) ?? '';
  const parts = [...last.matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new TrainingError(`no times in: ${last}`);
  return parts.reduce(
    (sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds),
    0,
  );
}
