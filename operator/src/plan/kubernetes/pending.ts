import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { podFailure } from './failure.ts';
import { REASONS } from './names.ts';
import { isActive, isRunning, trainerStatus } from './pods.ts';
import type { Cause } from './types.ts';

/** Why a trainer does not run, in the words of whoever holds it up. */

export interface PendingInput {
  job: V1Job | undefined;
  /** The newest pod of the trainer. */
  pod: V1Pod | undefined;
  /** The Kueue queue that the Job is in. */
  queue?: string;
  warnings: ReadonlyMap<string, Cause>;
}

/** undefined: it runs, or ran to its end. */
export function pendingCause({ job, pod, queue, warnings }: PendingInput): Cause | undefined {
  const ends = pod?.metadata?.deletionTimestamp !== undefined && isActive(pod);
  if (ends || job?.metadata?.deletionTimestamp !== undefined) {
    return { reason: REASONS.replacing, message: 'waits for its former pod to end' };
  }
  if (pod && (isRunning(pod) || pod.status?.phase === 'Succeeded')) return undefined;
  if (pod && isActive(pod)) return podCause(pod, warnings);
  if (job?.spec?.suspend && queue !== undefined) {
    return { reason: REASONS.queued, message: `waits for queue ${queue} to admit it` };
  }
  // Such as a quota that is used up.
  const warning = warnings.get(`Job/${job?.metadata?.name}`);
  if (warning?.reason === 'FailedCreate') return warning;
  if (pod) return { reason: REASONS.restarting, message: `starts again after ${podFailure(pod)}` };
  return { reason: REASONS.noPods, message: 'its pod is not there yet' };
}

function podCause(pod: V1Pod, warnings: ReadonlyMap<string, Cause>): Cause {
  const name = pod.metadata?.name ?? '';
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    const reason = scheduled.reason ?? 'Unschedulable';
    return { reason, message: scheduled.message ?? reason };
  }
  const waiting = [
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.containerStatuses ?? []),
  ].find(({ state }) => state?.waiting)?.state?.waiting;
  if (waiting?.message) return { reason: waiting.reason ?? 'Waiting', message: waiting.message };
  // Such as a volume that cannot be mounted: the kubelet says so in events alone.
  const warning = warnings.get(`Pod/${name}`);
  if (warning) return warning;
  const reason = waiting?.reason ?? (trainerStatus(pod) ? 'ContainerCreating' : 'PodPending');
  return { reason, message: `pod ${name} is being made ready` };
}
