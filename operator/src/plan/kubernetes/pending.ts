import type { V1ContainerStatus, V1Job, V1Pod } from '@kubernetes/client-node';
import { endedAt, failureOf, isFinal, podFailure } from './failure.ts';
import { isBeingDeleted } from './jobs.ts';
import { CONTAINER, REASONS } from './names.ts';
import { lostNode } from './nodes.ts';
import { millis, timestamp } from './objects.ts';
import { isActive, isRunning, trainerStatus } from './pods.ts';
import { withRemedy } from './remedies.ts';
import type { Cause, Warnings } from './types.ts';

/**
 * Why a trainer does not run, quoted from the component that blocks it. Conditions and container states come first:
 * they say what holds now. A Warning event counts only while the state lasts that it explains.
 */

export interface PendingInput {
  job: V1Job | undefined;
  /** The newest pod of the trainer. */
  pod: V1Pod | undefined;
  /** The Kueue queue that the Job is in. */
  queue?: string;
  warnings: Warnings;
  now: Date;
}

/** Returns undefined if the trainer runs, or ran to its end. */
export function pendingCause({ job, pod, queue, warnings, now }: PendingInput): Cause | undefined {
  const lost = pod && lostNode(pod, now);
  if (lost) return lost;
  const ends = pod?.metadata?.deletionTimestamp !== undefined && isActive(pod);
  if (ends || isBeingDeleted(job)) {
    return { reason: REASONS.replacing, message: 'waits for its former pod to end' };
  }
  if (pod && (isRunning(pod) || pod.status?.phase === 'Succeeded')) return undefined;
  if (pod && isActive(pod)) return withRemedy(podCause(pod, warnings));
  if (job?.spec?.suspend && queue !== undefined) {
    return { reason: REASONS.queued, message: `waits for queue ${queue} to admit it` };
  }
  // A quota, for instance. One from before the last pod ended did not keep that pod from being made.
  const since = pod ? endedAt(pod) : millis(job?.metadata?.creationTimestamp);
  const refused = newest(warnings, `Job/${job?.metadata?.name}`, job?.metadata?.uid, since, [
    'FailedCreate',
  ]);
  if (refused) return withRemedy(refused);
  if (pod && isFinal(pod)) return { reason: REASONS.failing, message: podFailure(pod) };
  if (pod) return { reason: REASONS.restarting, message: `starts again after ${podFailure(pod)}` };
  return { reason: REASONS.noPods, message: 'its pod is not there yet' };
}

/** Reasons of a kubelet's Warning events about what comes before a pod's containers, and about these. */
const BEFORE_CONTAINERS = [
  'FailedMount',
  'FailedAttachVolume',
  'FailedMapVolume',
  'FailedCreatePodSandBox',
  'NetworkNotReady',
];
const OF_CONTAINERS = ['Failed', 'InspectFailed', 'ErrImageNeverPull'];

/** Why an active pod does not train. */
function podCause(pod: V1Pod, warnings: Warnings): Cause {
  const name = pod.metadata?.name ?? '';
  const trainer = trainerStatus(pod);
  if (trainer?.state?.terminated) return keptBySidecar(pod);
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False') {
    const reason = scheduled.reason ?? 'Unschedulable';
    return { reason, message: scheduled.message ?? reason };
  }
  if (scheduled?.status !== 'True' && !pod.spec?.nodeName && !trainer) {
    const by = pod.spec?.schedulerName ?? 'default-scheduler';
    return { reason: 'PodPending', message: `pod ${name} waits for scheduler ${by}` };
  }
  const blocked = containers(pod).find(({ state }) => !PREPARING.has(state?.waiting?.reason));
  const waiting = blocked?.state?.waiting;
  if (blocked && waiting) {
    const reason = waiting.reason ?? 'Waiting';
    const message = waiting.message ?? `container ${blocked.name} of pod ${name} waits`;
    return { reason, message };
  }
  const init = runningInit(pod);
  if (init) {
    const message = `init container ${init.name} of pod ${name} runs since ${since(init.state?.running?.startedAt)}`;
    return { reason: 'PodInitializing', message };
  }
  const where = pod.spec?.nodeName ? ` on node ${pod.spec.nodeName}` : '';
  const prepared = conditionOf(pod, 'PodReadyToStartContainers');
  const isPrepared = prepared?.status === 'True';
  const begun = isPrepared ? prepared.lastTransitionTime : scheduled?.lastTransitionTime;
  const warning = newest(
    warnings,
    `Pod/${name}`,
    pod.metadata?.uid,
    millis(begun ?? pod.metadata?.creationTimestamp),
    isPrepared ? OF_CONTAINERS : BEFORE_CONTAINERS,
  );
  if (warning) return warning;
  if (isPrepared) {
    const pulled = containers(pod).find(({ state }) => state?.waiting) ?? trainer;
    const image = pulled?.image || imageOf(pod, pulled?.name ?? CONTAINER);
    return {
      reason: REASONS.pulling,
      message: `image ${image} is being pulled${where} since ${since(begun)}`,
    };
  }
  return {
    reason: 'ContainerCreating',
    message: `volumes and network of pod ${name} are being set up${where} since ${since(begun ?? pod.metadata?.creationTimestamp)}`,
  };
}

/** The trainer has ended, and another container keeps the pod, so that the Job cannot go on. */
export function keptBySidecar(pod: V1Pod): Cause {
  const others = (pod.status?.containerStatuses ?? [])
    .filter(({ name, state }) => name !== CONTAINER && state?.running)
    .map(({ name }) => name);
  const end = trainerStatus(pod)?.state?.terminated;
  const how = end?.exitCode === 0 ? 'its trainer has ended' : failureOf(pod).message;
  return {
    reason: REASONS.sidecar,
    message: `${how}; container ${others.join(', ')} keeps pod ${pod.metadata?.name}`,
  };
}

/** Reasons of a container that waits for nothing in particular; undefined: it does not wait. */
const PREPARING: ReadonlySet<string | undefined> = new Set([
  undefined,
  'ContainerCreating',
  'PodInitializing',
]);

const containers = ({ status }: V1Pod): V1ContainerStatus[] => [
  ...(status?.initContainerStatuses ?? []),
  ...(status?.containerStatuses ?? []),
];

/** An init container that the others wait for. A started sidecar blocks no container. */
const runningInit = ({ status }: V1Pod): V1ContainerStatus | undefined =>
  status?.initContainerStatuses?.find(({ state, started }) => state?.running && !started);

const imageOf = ({ spec }: V1Pod, container: string): string =>
  [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].find(
    ({ name }) => name === container,
  )?.image ?? 'of the trainer';

const conditionOf = ({ status }: V1Pod, type: string) =>
  status?.conditions?.find((each) => each.type === type);

const since = (time: Date | string | undefined): string => timestamp(new Date(millis(time) ?? 0));

/** The newest warning about that very object, not older than `since`, for one of `reasons`. */
function newest(
  warnings: Warnings,
  about: string,
  uid: string | undefined,
  since: number | undefined,
  reasons: readonly string[],
): Cause | undefined {
  const found = (warnings.get(about) ?? [])
    .filter((each) => reasons.includes(each.reason))
    .filter((each) => each.uid === undefined || uid === undefined || each.uid === uid)
    // Events and conditions are written in whole seconds.
    .filter(({ at }) => since === undefined || at >= Math.floor(since / 1000) * 1000)
    .toSorted((a, b) => a.at - b.at)
    .at(-1);
  return found && { reason: found.reason, message: found.message };
}
