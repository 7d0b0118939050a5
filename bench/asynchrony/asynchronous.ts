import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { summarySchema } from '../../operator/src/report/summary.ts';
import { GIM, trainBy, trainingTimes } from '../training.ts';
import type { Case, Measured } from './cases.ts';
import { MODULES, SLOWED } from './run-file.ts';

/**
 * Trains the run of `file` as a user would, with its second module slowed. Throws a
 * `TrainingError`.
 */
export async function trainAsynchronously(one: Case, file: string, out: string): Promise<Measured> {
  await trainBy([GIM, 'run', file, '--out', out], out, {
    SLOWDOWN: `${SLOWED}:${one.slowdown}`,
  });
  const summary = summarySchema.parse(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));
  const last = summary.modules.at(-1);
  return {
    ...one,
    accuracy: last?.probeAccuracy ?? Number.NaN,
    reused: last?.samplesReused ?? 0,
    seconds: MODULES.map((module) => {
      const { from, to } = trainingTimes(out, module);
      return (to - from) / 1000;
    }),
  };
}
