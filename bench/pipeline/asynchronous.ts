import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readModules } from '../../operator/src/report/run-files.ts';

/** A training with a process for each module, as a user starts it. */

export interface Training {
  /** From the first step of the first module to the last of the last one; without the start of the processes. */
  samplesPerSecond: number;
  /** CPU seconds of all processes for a thousand samples, their start included. */
  cpu: number;
  /** Of each module but the first: median of the medians that its trainer noted. */
  ageSeconds: number[];
}

/** `gim run` did not come to its end. */
class TrainingError extends Error {
  override readonly name = 'TrainingError';
}

const GIM = join(import.meta.dirname, '../../bin/gim');

/** `slowdown`: as the trainers' variable SLOWDOWN. Throws a `TrainingError`. */
export async function trainAsynchronously(
  file: string,
  out: string,
  samples: number,
  slowdown?: string,
): Promise<Training> {
  const env = { ...process.env, ...(slowdown && { SLOWDOWN: slowdown }) };
  const child = spawn(
    'bash',
    [
      '-c',
      '"$@"; code=$?; times; exit $code',
      'times',
      GIM,
      'run',
      file,
      '--out',
      out,
      '--no-evaluate',
    ],
    {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      said += data.toString();
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new TrainingError(`gim run ended with code ${code}, see ${out}:\n${said}`);
  const modules = readModules(out);
  const times = modules.map(({ config }) =>
    trainingTimes(readFileSync(join(out, 'modules', config.name, 'trainer.log'), 'utf8')),
  );
  const seconds =
    (Math.max(...times.map(({ to }) => to)) - Math.min(...times.map(({ from }) => from))) / 1000;
  return {
    samplesPerSecond: samples / seconds,
    cpu: (1000 * cpuSeconds(said)) / samples,
    ageSeconds: modules.slice(1).map(({ history }) => {
      const ages = history.flatMap(({ stalenessSeconds }) => stalenessSeconds?.p50 ?? []);
      return ages.toSorted((a, b) => a - b)[ages.length >> 1] ?? Number.NaN;
    }),
  };
}

/** Milliseconds since the epoch of the first step's begin and the last one's end, as a trainer's log tells. */
function trainingTimes(log: string): { from: number; to: number } {
  const phases = log
    .split('\n')
    .filter((line) => line.includes('"phase":'))
    .map((line) => JSON.parse(line) as { time: number; phase: string });
  const start = phases.findIndex(({ phase }) => phase === 'training');
  const [from, to] = phases.slice(start);
  if (!from || !to) throw new TrainingError('a trainer has not logged the phases of its training');
  return { from: from.time, to: to.time };
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
