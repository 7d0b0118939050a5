import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModuleConfig } from '@greedy-infomax/crds';
import { CheckpointError } from '../checkpoint/errors.ts';
import { type Checkpoint, CheckpointStore } from '../checkpoint/store.ts';
import { configHash } from '../train/resume.ts';

/** Below the folder of a module each of its trainers has one of its own, if there may be several. */
const REPLICA = /^replica-\d+$/;

/**
 * The newest checkpoint of the module that lies in `folder` or in the folder of a replica below it; a trainer
 * may be writing there. Throws a `CheckpointError` if there is none.
 */
export async function newestCheckpoint(module: ModuleConfig, folder: string): Promise<Checkpoint> {
  const replicas = (await namesIn(folder)).filter((name) => REPLICA.test(name));
  let newest: Checkpoint | undefined;
  const damaged: string[] = [];
  for (const place of [folder, ...replicas.map((name) => join(folder, name))]) {
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
    `module ${module.name} has no checkpoint in ${folder}; train it first${damaged.join('')}`,
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
