import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluateRun } from '../../operator/src/local/evaluation.ts';
import { trainerEnv } from '../../operator/src/local/trainer-process.ts';

export interface TrainedInOneProcess {
  /** Seconds of the training alone. */
  seconds: number;
  /** Accuracy of the last module's linear probe, between 0 and 1. */
  accuracy: number;
}

/**
 * Trains the run of `file` into `folder` in one process that takes each batch through all modules.
 * Uses a separate process, because TensorFlow never returns its memory.
 */
export async function trainInOneProcess(
  file: string,
  folder: string,
): Promise<TrainedInOneProcess> {
  const script = join(import.meta.dirname, 'synchronous.ts');
  const options = ['--disable-warning=ExperimentalWarning', script, '--file', file];
  const said = execFileSync(process.execPath, [...options, '--out', folder], {
    encoding: 'utf8',
    env: trainerEnv(process.env),
    // TensorFlow prints its build there.
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { seconds } = JSON.parse(said.trim().split('\n').at(-1) ?? '') as { seconds: number };
  await evaluateRun(folder, () => {});
  const { modules } = JSON.parse(readFileSync(join(folder, 'evaluation.json'), 'utf8')) as {
    modules: { accuracy: number }[];
  };
  return { seconds, accuracy: modules.at(-1)?.accuracy ?? Number.NaN };
}
