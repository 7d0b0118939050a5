import {
  decodeTrainerEnding,
  EXIT,
  type Failure,
  FINAL_EXIT_CODES,
  type Report,
} from '@greedy-infomax/crds';
import type {
  V1ContainerStateTerminated,
  V1Job,
  V1Pod,
  V1PodCondition,
} from '@kubernetes/client-node';
import { hasCondition } from './jobs.ts';
import { CONTAINER, REASONS } from './names.ts';
import { millis, timestamp } from './objects.ts';
import { reportOf, trainerStatus } from './pods.ts';
import type { Cause } from './types.ts';

/** Returns why a module was given up: the trainer's own error where there is one, and what its Job says. */
export function moduleFailure(
  module: string,
  job: V1Job,
  pods: readonly V1Pod[],
  reports: readonly Report[],
): Cause {
  return {
    reason: REASONS.moduleFailed,
    message: `module ${module}: ${jobFailure(job, pods, reports)}`,
  };
}

/** Returns what ended the last of a failed Job's pods, and why the Job starts no other. */
export function jobFailure(
  job: V1Job,
  pods: readonly V1Pod[],
  reports: readonly Report[] = [],
): string {
  const type = hasCondition(job, 'Failed') ? 'Failed' : 'FailureTarget';
  const condition = job.status?.conditions?.find((each) => each.type === type);
  const pod = lastFailed(pods);
  const words = pod ? podFailure(pod, reports) : condition?.message;
  const why = pod && condition ? ` (${jobSays(condition.reason, condition.message)})` : '';
  return `${words ?? 'its Job failed'}${why}`;
}

const jobSays = (reason: string | undefined, message: string | undefined): string =>
  reason === 'BackoffLimitExceeded' ? 'it failed too often' : (message ?? reason ?? 'Failed');

/** Returns one sentence: what ended a pod, its name and its exit code. */
export function podFailure(pod: V1Pod, reports: readonly Report[] = []): string {
  const { message, exitCode } = failureOf(pod, reports);
  const code = exitCode === undefined ? '' : `: exit code ${exitCode}`;
  return `${message} (${pod.metadata?.name ?? 'a pod'}${code})`;
}

/** Reports whether the pod failed in a way that a new attempt would repeat. */
export const isFinal = (pod: V1Pod): boolean =>
  FINAL_EXIT_CODES.includes(trainerStatus(pod)?.state?.terminated?.exitCode ?? EXIT.ok);

/** Returns how a pod failed, as status keeps it. */
export function failureOf(pod: V1Pod, reports: readonly Report[] = []): Failure {
  const trainer = trainerStatus(pod)?.state?.terminated;
  const { reason, message } =
    disruption(pod) ?? initFailure(pod) ?? containerFailure(pod, trainer, reports);
  return {
    reason,
    message: message.slice(0, 1024),
    ...(trainer && { exitCode: trainer.exitCode }),
    time: timestamp(new Date(endedAt(pod))),
    ...(pod.metadata?.name && { pod: pod.metadata.name }),
    ...(pod.spec?.nodeName && { node: pod.spec.nodeName }),
  };
}

/** The kubelet, the scheduler or an eviction ended the pod. */
function disruption(pod: V1Pod): Cause | undefined {
  const { reason, message } = pod.status ?? {};
  if (reason) return { reason, message: message ?? reason };
  const target = disruptionOf(pod);
  if (!target) return undefined;
  const cause = target.reason ?? 'Disrupted';
  return { reason: cause, message: target.message ?? cause };
}

/** The condition that marks a pod that was preempted, evicted, or lost with its node. */
export const disruptionOf = ({ status }: V1Pod): V1PodCondition | undefined =>
  status?.conditions?.find((each) => each.type === 'DisruptionTarget' && each.status === 'True');

function initFailure({ status }: V1Pod): Cause | undefined {
  const failed = status?.initContainerStatuses?.find(({ state }) => state?.terminated?.exitCode);
  const end = failed?.state?.terminated;
  if (!failed || !end) return undefined;
  const said = errorLine(end.message) ?? end.reason ?? 'it left no message';
  return {
    reason: REASONS.initFailed,
    message: `init container ${failed.name} ended with exit code ${end.exitCode}: ${said}`,
  };
}

function containerFailure(
  pod: V1Pod,
  end: V1ContainerStateTerminated | undefined,
  reports: readonly Report[],
): Cause {
  if (!end) return { reason: REASONS.podFailed, message: 'the pod ended without its trainer' };
  const report = reportOf(pod, reports);
  const reported = report?.phase === 'failed' ? report.message : undefined;
  const ending = decodeTrainerEnding(end.message);
  const said = (ending?.outcome === 'failed' && ending.message) || reported;
  if (isOutOfMemory(end)) return { reason: 'OOMKilled', message: outOfMemory(pod, said) };
  const { exitCode } = end;
  const known = EXITS[exitCode];
  const error = said || errorLine(end.message);
  if (exitCode === EXIT.ok) {
    const message = `the trainer's container ended with exit code 0, but left no proof of a finished training${error ? `: ${error}` : ''}`;
    return { reason: REASONS.noEvidence, message };
  }
  const reason = known?.reason ?? named(end.reason) ?? 'Error';
  return { reason, message: error ?? known?.message ?? 'it left no message' };
}

/** `Error` and `Completed` say no more than the exit code does. */
const named = (reason: string | undefined): string | undefined =>
  reason === 'Error' || reason === 'Completed' ? undefined : reason;

const EXITS: Record<number, Cause> = {
  [EXIT.configuration]: {
    reason: 'ConfigurationError',
    message: 'its configuration or data cannot work',
  },
  [EXIT.diverged]: { reason: 'Diverged', message: 'its loss is not a finite number' },
  [EXIT.stopped]: { reason: 'Stopped', message: 'a signal stopped it' },
  137: {
    reason: 'Killed',
    message:
      'SIGKILL ended it: a probe failed, its grace period was over, or its node ran out of memory',
  },
};

/** The kernel may kill another process of the container than its first, so the exit code may be 0. */
const isOutOfMemory = ({ reason, message }: V1ContainerStateTerminated): boolean =>
  reason === 'OOMKilled' || /\boom[-_ ]?kill|out of memory: killed/i.test(message ?? '');

function outOfMemory(pod: V1Pod, said: string | undefined): string {
  const limit = pod.spec?.containers.find(({ name }) => name === CONTAINER)?.resources?.limits;
  const of = limit?.memory ? ` of ${limit.memory}` : '';
  const own = said ? ` (${said})` : '';
  return `the kernel killed it for exceeding its memory limit${of}${own}; raise resources.limits.memory`;
}

const PLAIN_ERROR = 50;
/** Lines that TensorFlow writes at every start. */
const NOISE =
  /oneDNN|cpu_feature_guard|rebuild TensorFlow|TF_ENABLE_ONEDNN|computation_placer|^\d{4}-\d\d-\d\d .* [IW] (tensorflow|external)/;

/**
 * Returns the error in the end of a log: the message of the last JSON line of an error, else the last line of plain
 * text that is not TensorFlow's start, else the last JSON message. undefined for none.
 */
export function errorLine(log: string | undefined): string | undefined {
  const lines = (log ?? '')
    .trim()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !NOISE.test(line));
  const parsed = lines.map(jsonLine);
  const error = parsed.findLast((line) => line && line.level >= PLAIN_ERROR);
  if (error) return error.msg;
  const plain = lines.findLast((_, i) => !parsed[i]);
  return plain ?? parsed.at(-1)?.msg;
}

function jsonLine(line: string): { level: number; msg: string } | undefined {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    if (typeof msg !== 'string' || msg === '') return undefined;
    return { level: typeof level === 'number' ? level : 0, msg };
  } catch {
    return undefined;
  }
}

const lastFailed = (pods: readonly V1Pod[]): V1Pod | undefined =>
  pods
    .filter(({ status }) => status?.phase === 'Failed')
    .toSorted((a, b) => endedAt(a) - endedAt(b))
    .at(-1);

/** When the pod ended, in milliseconds since the epoch; as far as known. */
export const endedAt = (pod: V1Pod): number =>
  millis(trainerStatus(pod)?.state?.terminated?.finishedAt) ??
  millis(disruptionOf(pod)?.lastTransitionTime) ??
  Math.max(0, ...(pod.status?.conditions ?? []).map((c) => millis(c.lastTransitionTime) ?? 0));

/**
 * Returns the newest failure among the pods of a module. A trainer that a stop, a suspension or a smaller number of
 * replicas ended has not failed; one that was evicted or preempted has.
 */
export function lastFailure(
  pods: readonly V1Pod[],
  reports: readonly Report[],
): Failure | undefined {
  const failed = pods
    .filter(hasFailed)
    .toSorted((a, b) => endedAt(a) - endedAt(b))
    .at(-1);
  return failed && failureOf(failed, reports);
}

function hasFailed(pod: V1Pod): boolean {
  const end = trainerStatus(pod)?.state?.terminated;
  if (disruptionOf(pod) && (end || pod.status?.phase === 'Failed')) return true;
  if (end) return end.exitCode !== EXIT.ok && end.exitCode !== EXIT.stopped;
  return pod.status?.phase === 'Failed';
}
