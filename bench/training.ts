import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { readModules } from '../operator/src/report/run-files.ts';
import { type Summary, summarySchema } from '../operator/src/report/summary.ts';

/**
 * Runs a training as a user starts it and reads the logs of its trainers, for the benchmarks that
 * train.
 */

/** A training did not complete, or its logs lack an expected line. */
export class TrainingError extends Error {
  override readonly name = 'TrainingError';
}

const DIGITS = join(import.meta.dirname, '../examples/digits.yaml');
export const GIM = join(import.meta.dirname, '../bin/gim');

/**
 * Runs `command`, which trains into `out`, to completion; resolves with its output. Throws a
 * `TrainingError` if it fails.
 */
export async function trainBy(
  [program, ...args]: readonly [string, ...string[]],
  out: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      said += data.toString();
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new TrainingError(`gim run ended with code ${code}, see ${out}:\n${said}`);
  return said;
}

/** Writes the digits example to `file` with its spec modified by `change`, and returns it. */
export function writeDigits(
  file: string,
  // biome-ignore lint/suspicious/noExplicitAny: YAML as it is written, before any schema.
  change: (spec: any) => void,
) {
  const run = parse(readFileSync(DIGITS, 'utf8'));
  change(run.spec);
  writeFileSync(file, stringify(run));
  return run.spec;
}

/** Results of the finished training in `out`. */
export const summaryOf = (out: string): Summary =>
  summarySchema.parse(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));

/**
 * Milliseconds since the epoch of a module's first step and of the end of its budget, from its
 * trainer's log.
 */
export function trainingTimes(out: string, module: string): { from: number; to: number } {
  const phases = readFileSync(join(out, 'modules', module, 'trainer.log'), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"phase":'))
    .map((line) => JSON.parse(line) as { time: number; phase: string });
  const start = phases.findIndex(({ phase }) => phase === 'training');
  const [from, to] = phases.slice(start);
  if (!from || !to) throw new TrainingError("the trainer's log lacks the phases of its training");
  return { from: from.time, to: to.time };
}

/**
 * Seconds of a finished training: from the first step of the first module, before which no other
 * has input, to the end of the last module's budget.
 */
export function trainingSeconds(out: string): number {
  const times = readModules(out).map(({ config }) => trainingTimes(out, config.name));
  const [first] = times;
  if (!first) throw new TrainingError(`there are no modules in ${out}`);
  return (Math.max(...times.map(({ to }) => to)) - first.from) / 1000;
}
