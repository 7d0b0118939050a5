import type { Report } from '@greedy-infomax/crds';
import type { V1ContainerStatus, V1Job, V1Pod } from '@kubernetes/client-node';
import { COMPLETION_INDEX, CONTAINER } from './names.ts';
import { millis } from './objects.ts';

/** Reading pods: which trainer one is, and what it is at. */

/** The pods of `job`, not those of one that it replaced. */
export const podsOf = (pods: readonly V1Pod[], job: V1Job | undefined): V1Pod[] =>
  pods.filter(({ metadata }) =>
    metadata?.ownerReferences?.some((owner) => owner.uid === job?.metadata?.uid),
  );

export function replicaOf({ metadata }: V1Pod): number {
  const index =
    metadata?.labels?.[COMPLETION_INDEX] ?? metadata?.annotations?.[COMPLETION_INDEX] ?? 0;
  return Number(index);
}

/** Has not ended, though it may be about to. */
export const isActive = ({ status }: V1Pod): boolean =>
  status?.phase !== 'Succeeded' && status?.phase !== 'Failed';

/** Runs and is meant to go on. */
export const isRunning = (pod: V1Pod): boolean =>
  pod.status?.phase === 'Running' &&
  pod.metadata?.deletionTimestamp === undefined &&
  trainerStatus(pod)?.state?.running !== undefined;

/** Runs, and has shown progress: there is no readiness probe, so Ready follows the startup probe. */
export const isReady = (pod: V1Pod): boolean =>
  isRunning(pod) &&
  (pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false);

export const trainerStatus = ({ status }: V1Pod): V1ContainerStatus | undefined =>
  status?.containerStatuses?.find(({ name }) => name === CONTAINER);

/**
 * The report that the pod's own trainer sent. One from before it started is of the pod before it, and says
 * nothing of what this one does. Both times are by the clock of the pod's node.
 */
export function reportOf(pod: V1Pod, reports: readonly Report[]): Report | undefined {
  const { running, terminated } = trainerStatus(pod)?.state ?? {};
  const started = millis(running?.startedAt ?? terminated?.startedAt);
  if (started === undefined) return undefined;
  return reports.find(({ replica, at }) => replica === replicaOf(pod) && at >= started);
}

/** The newest pod of each of the first `replicas` trainers. */
export function trainers(pods: readonly V1Pod[], replicas: number): (V1Pod | undefined)[] {
  const newest = new Map<number, V1Pod>();
  for (const pod of pods) {
    const other = newest.get(replicaOf(pod));
    if (!other || created(pod) > created(other)) newest.set(replicaOf(pod), pod);
  }
  return Array.from({ length: replicas }, (_, replica) => newest.get(replica));
}

const created = ({ metadata }: V1Pod): number => millis(metadata?.creationTimestamp) ?? 0;
