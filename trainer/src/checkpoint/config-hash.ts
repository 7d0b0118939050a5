import { createHash } from 'node:crypto';
import { type ModuleConfig, trainingIdentity } from '@greedy-infomax/crds';

/**
 * Same hash, same training: what must not change between a checkpoint and the run that goes on from it.
 * Where the data lies may change.
 */
export const configHash = (config: ModuleConfig): string =>
  createHash('sha256')
    .update(JSON.stringify(trainingIdentity(config)))
    .digest('hex')
    .slice(0, 16);
