import { REASONS } from './names.ts';
import { millis } from './objects.ts';
import type { Cause, KubernetesRun } from './types.ts';

/** Milliseconds until a finished run is to be deleted, 0 or less: now; undefined: never. */
export function ttlLeft({ spec, status }: KubernetesRun, now: Date): number | undefined {
  const finished = millis(status?.completionTime);
  if (spec.ttlSecondsAfterFinished === undefined || finished === undefined) return undefined;
  return finished + spec.ttlSecondsAfterFinished * 1000 - now.getTime();
}

/**
 * Milliseconds until `spec.activeDeadlineSeconds` is over, counted from `status.startTime`, which a
 * resumed run gets anew; undefined without a deadline or before the start.
 */
export function deadlineLeft(
  { spec, status }: Pick<KubernetesRun, 'spec' | 'status'>,
  now: Date,
): number | undefined {
  const start = millis(status?.startTime);
  if (spec.activeDeadlineSeconds === undefined || start === undefined) return undefined;
  return start + spec.activeDeadlineSeconds * 1000 - now.getTime();
}

export const deadlineCause = ({ spec, status }: KubernetesRun): Cause => ({
  reason: REASONS.deadline,
  message: `the run was active for longer than activeDeadlineSeconds (${spec.activeDeadlineSeconds}), from ${status?.startTime} on`,
});
