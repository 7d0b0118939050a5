import { createHash } from 'node:crypto';
import { type ModuleConfig, trainingIdentity } from '@greedy-infomax/crds';

/**
 * Returns a hash of everything that must not change between a checkpoint and the run that continues from it. The path of
 * the data may change.
 */
export const configHash = (config: ModuleConfig): string =>
  createHash('sha256')
    .update(JSON.stringify(trainingIdentity(config)))
    .digest('hex')
    .slice(0, 16);
