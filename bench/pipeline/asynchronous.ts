import { type ModuleRecord, readModules } from '../../operator/src/report/run-files.ts';
import { GIM, TrainingError, trainBy, trainingTimes } from '../training.ts';
import { WARM_UP } from './warm-up.ts';

/** A training with a process for each module, as a user starts it. */

export interface Training {
  /** Once every module has made its first steps, to the last step of the last one. */
  samplesPerSecond: number;
  /** CPU seconds of all processes for a thousand samples, their start included. */
  cpu: number;
  /** Of each module but the first: median of the medians that its trainer noted. */
  ageSeconds: number[];
}

/** `slowdown`: as the trainers' variable SLOWDOWN. Throws a `TrainingError`. */
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

/** Of what is left to train when the last module is warm. */
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

/** Of all that a shell has started: the last line of its `times`, user and system. */
function cpuSeconds(said: string): number {
  const last = said.trim().split('\n').at(-1) ?? '';
  const parts = [...last.matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new TrainingError(`no times in: ${last}`);
  return parts.reduce(
    (sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds),
    0,
  );
}
