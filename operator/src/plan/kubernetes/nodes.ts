import type { V1Pod } from '@kubernetes/client-node';
import { disruptionOf } from './failure.ts';
import { REASONS } from './names.ts';
import { millis, timestamp } from './objects.ts';
import { isActive } from './pods.ts';
import type { Cause } from './types.ts';

/**
 * Nodes that do not answer, as their pods show it: the operator may not read nodes. Kubernetes' node controller sets
 * Ready of such a pod to False and leaves ContainersReady alone, which a kubelet never does; after a while it deletes
 * the pod, which then waits for the kubelet.
 */

/** Milliseconds after which a deleted pod should have ended, beyond its own grace period. */
const OVERDUE = 30_000;
/** Seconds that a pod tolerates an unreachable node, unless its spec sets them. */
const TOLERATION_SECONDS = 300;

const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** Returns why the pod counts as lost with its node, and what helps; undefined: it is not. */
export function lostNode(pod: V1Pod, now: Date): Cause | undefined {
  if (!isActive(pod)) return undefined;
  const { name } = pod.metadata ?? {};
  const node = pod.spec?.nodeName ?? 'of the pod';
  const deletion = millis(pod.metadata?.deletionTimestamp);
  const remedy = `repair the node; if it is gone for good, run: kubectl delete pod ${name} --force`;
  if (deletion !== undefined) {
    const lost = disruptionOf(pod)?.reason === 'DeletionByTaintManager';
    if (!lost && now.getTime() < deletion + OVERDUE) return undefined;
    return {
      reason: REASONS.nodeLost,
      message: `node ${node} does not answer: pod ${name}, deleted, has not ended; ${remedy}`,
    };
  }
  const since = notReadySince(pod);
  if (since === undefined) return undefined;
  const toleration = pod.spec?.tolerations?.find(({ key }) => key === UNREACHABLE);
  const seconds = toleration ? toleration.tolerationSeconds : TOLERATION_SECONDS;
  const eviction =
    seconds === undefined
      ? 'its pod tolerates that for ever'
      : `Kubernetes evicts pod ${name} at ${timestamp(new Date(since + seconds * 1000))}`;
  return {
    reason: REASONS.nodeLost,
    message: `node ${node} does not answer since ${timestamp(new Date(since))}; ${eviction}; ${remedy}`,
  };
}

/** Milliseconds until each pod that is deleted counts as lost with its node. */
export const overdueIn = (pods: readonly V1Pod[], now: Date): number[] =>
  pods
    .filter(isActive)
    .map(({ metadata }) => millis(metadata?.deletionTimestamp))
    .filter((deletion) => deletion !== undefined)
    .map((deletion) => deletion + OVERDUE - now.getTime())
    .filter((wait) => wait > 0);

function notReadySince({ spec, status }: V1Pod): number | undefined {
  if (status?.phase === 'Unknown' || status?.reason === 'NodeLost') return statusTime(status);
  if (status?.phase !== 'Running' || spec?.readinessGates?.length) return undefined;
  const condition = (type: string) => status.conditions?.find((each) => each.type === type);
  const ready = condition('Ready');
  if (ready?.status !== 'False' || condition('ContainersReady')?.status !== 'True')
    return undefined;
  return millis(ready.lastTransitionTime) ?? 0;
}

const statusTime = ({ conditions = [] }: NonNullable<V1Pod['status']>): number =>
  Math.max(0, ...conditions.map(({ lastTransitionTime }) => millis(lastTransitionTime) ?? 0));
