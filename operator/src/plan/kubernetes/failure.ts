import { EXIT, type Report } from '@greedy-infomax/crds';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { hasCondition } from './jobs.ts';
import { REASONS } from './names.ts';
import { millis } from './objects.ts';
import { reportOf, trainerStatus } from './pods.ts';
import type { Cause } from './types.ts';

/** Why a module was given up: in the trainer's own words where it left any, and in those of its Job. */
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

/** What ended the last of a failed Job's pods, and why there is no other. */
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

/** What ended a pod: its exit, and the message that it left. */
export function podFailure(pod: V1Pod, reports: readonly Report[] = []): string {
  const name = pod.metadata?.name ?? 'a pod';
  const terminated = trainerStatus(pod)?.state?.terminated;
  const report = reportOf(pod, reports);
  const said = (report?.phase === 'failed' && report.message) || lastWords(terminated?.message);
  const end = terminated ? exit(terminated.exitCode, terminated.reason) : podReason(pod);
  return said ? `${said} (${name}: ${end})` : `${name}: ${end}`;
}

const NAMES: Record<number, string> = {
  [EXIT.configuration]: 'exit code 64, its configuration or data cannot work',
  [EXIT.diverged]: 'exit code 65, its loss is not a finite number',
  [EXIT.stopped]: 'stopped by a signal',
  137: 'killed',
};

const exit = (code: number, reason: string | undefined): string =>
  reason === 'OOMKilled'
    ? 'OOMKilled, it needs a higher memory limit'
    : (NAMES[code] ?? `exit code ${code}`);

const podReason = ({ status }: V1Pod): string =>
  [status?.reason, status?.message].filter(Boolean).join(', ') || 'ended';

/** The end of a trainer's log: the message of the last line if it is JSON, else the line itself. */
export function lastWords(log: string | undefined): string | undefined {
  const last = log?.trim().split('\n').at(-1)?.trim();
  if (!last) return undefined;
  try {
    const { msg } = JSON.parse(last) as { msg?: unknown };
    return typeof msg === 'string' && msg !== '' ? msg : last;
  } catch {
    return last;
  }
}

const lastFailed = (pods: readonly V1Pod[]): V1Pod | undefined =>
  pods
    .filter(({ status }) => status?.phase === 'Failed')
    .toSorted((a, b) => endedAt(a) - endedAt(b))
    .at(-1);

const endedAt = (pod: V1Pod): number =>
  millis(trainerStatus(pod)?.state?.terminated?.finishedAt) ?? 0;
