import { queueLabels } from './jobs.ts';
import { KUEUE_QUEUE } from './names.ts';
import type { KubernetesRun } from './types.ts';

/**
 * What becomes of a Job while its run is suspended or its module has no trainers. Kubernetes ends the pods of a suspended Job and keeps
 * the Job. A Job in a Kueue queue is started by Kueue whatever we say, so there must be none.
 */
export function jobWithoutTrainers(run: KubernetesRun): 'suspend' | 'remove' {
  return KUEUE_QUEUE in queueLabels(run) ? 'remove' : 'suspend';
}

/** What to tell of a run that is suspended, or about to be. */
export function suspensionMessage(run: KubernetesRun, activePods: number): string {
  if (activePods > 0) return `waits for ${activePods} trainers to write checkpoints and end`;
  return run.spec.checkpoints.storage
    ? 'all trainers have ended; they will go on from their checkpoints'
    : 'all trainers have ended; they will start over, as there is no checkpoints.storage';
}
