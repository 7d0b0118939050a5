import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModuleConfig, REPLICA_FOLDER } from '@greedy-infomax/crds';
import type { CheckpointBucket } from './bucket.ts';
import { configHash } from './config-hash.ts';
import { CheckpointError } from './errors.ts';
import type { CheckpointFiles } from './files.ts';
import { type Checkpoint, CheckpointStore } from './store.ts';

/**
 * Returns the newest checkpoint of the module in `folder` or in the folders of its replicas below. A trainer may write there
 * at the same time.
 * @throws CheckpointError if there is none
 */
export async function newestCheckpoint(module: ModuleConfig, folder: string): Promise<Checkpoint> {
  const replicas = (await namesIn(folder)).filter((name) => REPLICA_FOLDER.test(name));
  return newestOf(module, [folder, ...replicas.map((name) => join(folder, name))], folder);
}

/** Returns the newest checkpoint of the module in the bucket of the run. Throws a `BucketError` without an answer. */
export async function newestInBucket(
  module: ModuleConfig,
  bucket: CheckpointBucket,
): Promise<Checkpoint> {
  return newestOf(module, await bucket.filesOf(module.name), 'the bucket of its run');
}

async function newestOf(
  module: ModuleConfig,
  places: readonly (string | CheckpointFiles)[],
  where: string,
): Promise<Checkpoint> {
  let newest: Checkpoint | undefined;
  const damaged: string[] = [];
  for (const place of places) {
    const store = new CheckpointStore(place, {
      keep: module.checkpoints.keep,
      configHash: configHash(module),
    });
    const { checkpoint, skipped } = await store.loadNewest();
    damaged.push(...skipped.map(({ file, why }) => `; ${file} is damaged: ${why}`));
    if (checkpoint && (!newest || checkpoint.step > newest.step)) newest = checkpoint;
  }
  if (newest) return newest;
  throw new CheckpointError(
    `module ${module.name} has no checkpoint in ${where}; train it first${damaged.join('')}`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
