import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';

const DIGITS = join(import.meta.dirname, '../../examples/digits.yaml');

/** Writes the digits example to `file` with another budget, policy and no readout. */
export function writeRunFile(
  file: string,
  samples: number,
  whenFull: 'dropOldest' | 'block',
): void {
  const run = parse(readFileSync(DIGITS, 'utf8'));
  run.spec.training = { samples };
  run.spec.buffers.whenFull = whenFull;
  run.spec.checkpoints.everySeconds = 600;
  run.spec.evaluation = { atEnd: false };
  writeFileSync(file, stringify(run));
}
