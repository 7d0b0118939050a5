import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { summarySchema } from '../../operator/src/report/summary.ts';
import type { Case, Measured } from './cases.ts';
import { MODULES, SLOWED } from './run-file.ts';

/** A training did not come to its end. */
export class TrainingError extends Error {
  override readonly name = 'TrainingError';
}

const GIM = join(import.meta.dirname, '../../bin/gim');

/** Trains the run of `file` as a user would, with its second module slowed. Throws a `TrainingError`. */
export async function trainAsynchronously(one: Case, file: string, out: string): Promise<Measured> {
  const child = spawn(GIM, ['run', file, '--out', out], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SLOWDOWN: `${SLOWED}:${one.slowdown}` },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      said += data.toString();
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new TrainingError(`gim run ended with code ${code}, see ${out}:\n${said}`);
  const summary = summarySchema.parse(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));
  const last = summary.modules.at(-1);
  return {
    ...one,
    accuracy: last?.probeAccuracy ?? Number.NaN,
    reused: last?.samplesReused ?? 0,
    seconds: MODULES.map((module) =>
      trainingSeconds(readFileSync(join(out, 'modules', module, 'trainer.log'), 'utf8')),
    ),
  };
}

/** From the first step to the end of the budget, as the trainer's log tells. */
function trainingSeconds(log: string): number {
  const phases = log
    .split('\n')
    .filter((line) => line.includes('"phase":'))
    .map((line) => JSON.parse(line) as { time: number; phase: string });
  const start = phases.findIndex(({ phase }) => phase === 'training');
  const [from, to] = phases.slice(start);
  if (!from || !to) throw new TrainingError('a trainer has not logged the phases of its training');
  return (to.time - from.time) / 1000;
}
