import { readModules } from '../../operator/src/report/run-files.ts';
import { GIM, TrainingError, trainBy, trainingSeconds } from '../training.ts';

/** A training with a process for each module, as a user starts it. */

export interface Training {
  /** From the first step of the first module to the last of the last one; without the start of the processes. */
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
  slowdown?: string,
): Promise<Training> {
  const timed = ['-c', '"$@"; code=$?; times; exit $code', 'times'] as const;
  const said = await trainBy(
    ['bash', ...timed, GIM, 'run', file, '--out', out, '--no-evaluate'],
    out,
    slowdown ? { SLOWDOWN: slowdown } : {},
  );
  const modules = readModules(out);
  return {
    samplesPerSecond: samples / trainingSeconds(out),
    cpu: (1000 * cpuSeconds(said)) / samples,
    ageSeconds: modules.slice(1).map(({ history }) => {
      const ages = history.flatMap(({ stalenessSeconds }) => stalenessSeconds?.p50 ?? []);
      return ages.toSorted((a, b) => a - b)[ages.length >> 1] ?? Number.NaN;
    }),
  };
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
