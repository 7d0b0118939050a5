import { createHash } from 'node:crypto';
import { type ModuleConfig, trainingIdentity } from '@greedy-infomax/crds';
import type { CheckpointStore } from '../checkpoint/store.ts';
import type { ModuleProgram } from '../module/program.ts';

/** What a checkpoint holds beside weights and moments, and how training goes on from one. */

export interface Progress {
  samples: number;
  /** See `Input.position`. */
  position: number;
  firstLosses: number[];
  dropped: number;
  reused: number;
  /** Samples of the module's other trainers, by replica, as far as they were known. */
  others?: Record<string, number>;
  /** See `Program.momentsFrom`. */
  momentsFrom?: number;
}

export const NO_PROGRESS: Progress = {
  samples: 0,
  position: 0,
  firstLosses: [],
  dropped: 0,
  reused: 0,
};

/**
 * Same hash, same training: what must not change between a checkpoint and the run that goes on from it.
 * Where the data lies may change.
 */
export const configHash = (config: ModuleConfig): string =>
  createHash('sha256')
    .update(JSON.stringify(trainingIdentity(config)))
    .digest('hex')
    .slice(0, 16);

export async function saveCheckpoint(
  store: CheckpointStore,
  program: ModuleProgram,
  progress: Progress,
): Promise<void> {
  const tensors = Object.fromEntries(
    Object.entries(program.read()).map(([name, { shape, values }]) => [
      name,
      { dtype: 'F32' as const, shape, data: values },
    ]),
  );
  await store.save({
    step: program.step,
    samples: progress.samples,
    tensors,
    state: { progress: JSON.stringify({ ...progress, momentsFrom: program.momentsFrom }) },
  });
}

/**
 * Puts the newest good checkpoint into `program`. Returns null if there is none, and says which files it
 * had to pass over.
 */
export async function restoreCheckpoint(
  store: CheckpointStore,
  program: ModuleProgram,
): Promise<{ progress: Progress | null; skipped: { file: string; why: string }[] }> {
  const { checkpoint, skipped } = await store.loadNewest();
  if (checkpoint === null) return { progress: null, skipped };
  program.assign(
    Object.fromEntries(
      Object.entries(checkpoint.tensors).map(([name, { data }]) => [name, data as Float32Array]),
    ),
  );
  const progress = JSON.parse(checkpoint.state.progress ?? 'null') as Progress;
  program.step = checkpoint.step;
  program.momentsFrom = progress?.momentsFrom ?? 0;
  return { progress, skipped };
}
