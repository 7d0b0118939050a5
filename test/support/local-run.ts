import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRun } from '@greedy-infomax/crds';
import { type LocalRunOptions, runLocally } from '../../operator/src/local/run.ts';

/**
 * Starts local runs with the stand-in trainer. `node test/support/local-run.ts FOLDER STEPS` runs
 * one.
 */

export const STAND_IN = [process.execPath, join(import.meta.dirname, 'stand-in-trainer.ts')];

const runFile = (steps: number): string => `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: stand-in }
spec:
  data: { format: digits }
  augmentation: { crop: 24 }
  patches: { size: 8, stride: 4 }
  modules:
    - { name: one, layers: [{ type: conv, channels: 8, stride: 2 }] }
    - { name: two, layers: [{ type: residual, channels: 16, stride: 2 }] }
  objective: { type: infoNCE, predictionSteps: 3 }
  batchSize: 16
  training: { samples: ${16 * steps} }
  buffers: { depth: 64 }
`;

/**
 * Options of a run of `steps` steps of 20 ms each, in `folder`; its notes are appended to `notes`.
 */
export function standInRun(
  folder: string,
  steps: number,
  {
    notes = [],
    edit = (text) => text,
    ...changes
  }: Partial<LocalRunOptions> & {
    notes?: string[];
    edit?: (text: string) => string;
  } = {},
): LocalRunOptions {
  const file = join(folder, 'run.yaml');
  const text = edit(runFile(steps));
  writeFileSync(file, text);
  return {
    file,
    run: parseRun(text, file),
    out: join(folder, 'out'),
    resume: false,
    evaluate: false,
    trainerCommand: STAND_IN,
    tickMs: 100,
    screen: { show: () => {}, note: (line) => notes.push(line), done: () => {} },
    ...changes,
  };
}

if (import.meta.main) {
  const [folder = '', steps] = process.argv.slice(2);
  await runLocally(standInRun(folder, Number(steps)), new AbortController().signal);
}
