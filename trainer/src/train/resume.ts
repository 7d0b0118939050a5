import type { CheckpointStore } from '../checkpoint/store.ts';
import type { ModuleProgram } from '../module/program.ts';

/** Saves and restores the state of a training in checkpoints. */

/** Contents of a checkpoint beside weights and moments. */
export interface Progress {
  samples: number;
  /** See `Input.position()`. */
  position: number;
  firstLosses: number[];
  dropped: number;
  reused: number;
  /** Samples of the peers by replica, as far as known. */
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

/** Writes weights, moments and progress of a program as its newest checkpoint. */
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
 * Restores the newest valid checkpoint into `program`. Returns its progress, null without one, and the damaged files
 * that it skipped.
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
