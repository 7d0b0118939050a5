import type { Encoding, Precision } from '@greedy-infomax/crds';
import { writeDigits } from '../training.ts';

/** Settings that differ between runs. */
export interface Described {
  samples: number;
  whenFull: 'dropOldest' | 'block';
  encoding: Encoding;
  precision: Precision;
}

/**
 * Writes the digits example to `file` with another budget, policy and encoding, without an
 * evaluation.
 */
export function writeRunFile(
  file: string,
  { samples, whenFull, encoding, precision }: Described,
): void {
  writeDigits(file, (spec) => {
    spec.training = { samples };
    spec.precision = precision;
    spec.buffers.whenFull = whenFull;
    spec.buffers.encoding = encoding;
    spec.checkpoints.everySeconds = 600;
    spec.evaluation = { atEnd: false };
  });
}
