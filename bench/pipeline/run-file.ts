import type { Precision } from '@greedy-infomax/crds';
import { writeDigits } from '../training.ts';

/** Writes the digits example to `file` with another budget, policy and no readout. */
export function writeRunFile(
  file: string,
  samples: number,
  whenFull: 'dropOldest' | 'block',
  precision: Precision = 'float32',
): void {
  writeDigits(file, (spec) => {
    spec.training = { samples };
    spec.precision = precision;
    spec.buffers.whenFull = whenFull;
    spec.checkpoints.everySeconds = 600;
    spec.evaluation = { atEnd: false };
  });
}
