import { parse, stringify } from 'yaml';
import { TINY } from '../../test/support/gim.ts';
import type { Case } from './cases.ts';

/** Names in network order. */
export const MODULES = ['one', 'two', 'three'] as const;
export const SLOWED = 'two';

/**
 * Returns the run file of a case. With `latest` a module reuses samples while newer ones are
 * missing, as in Decoupled Greedy Learning; otherwise a module after a slow one could only wait.
 */
export function runFile({ policy, depth, seed }: Case, samples: number): string {
  const run = parse(TINY);
  run.metadata.name = 'asynchrony';
  Object.assign(run.spec, {
    seed,
    training: { samples },
    buffers: {
      depth: run.spec.batchSize * (depth ?? 1),
      whenFull: policy === 'latest' ? 'dropOldest' : 'block',
      maxReuse: policy === 'latest' ? 15 : 0,
    },
    checkpoints: { everySeconds: 60, keep: 1 },
    evaluation: { epochs: 20 },
  });
  run.spec.objective.negatives = 16;
  run.spec.optimizer.learningRate = 0.002;
  return stringify(run);
}
