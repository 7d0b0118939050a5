import { decodeEvaluationResult, type EvaluationResult } from '@greedy-infomax/crds';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { jobFailure } from './failure.ts';
import { isComplete, isFailed, queueLabels } from './jobs.ts';
import { EVALUATED_SAMPLES, KUEUE_QUEUE } from './names.ts';
import { pendingCause } from './pending.ts';
import { isActive, podsOf, trainerStatus, trainers } from './pods.ts';
import type { Accuracy, Cause, KubernetesRun, Observed } from './types.ts';

/** Reads the Jobs that evaluate a run: their state and result. */

export interface ObservedEvaluation {
  job: V1Job;
  /** Samples of the slowest module when the evaluation was requested. */
  samples: number;
  state: 'underWay' | 'complete' | 'failed';
  /** Result of a complete evaluation. */
  result?: EvaluationResult;
  /** Why one that is under way does not run. */
  waits?: Cause;
  /** Reason of a failed evaluation, as text. */
  failure?: string;
}

/** Returns the run's evaluations that have a Job, the newest last. */
export const observedEvaluations = (
  run: KubernetesRun,
  observed: Observed,
  now: Date,
): ObservedEvaluation[] =>
  observed.jobs
    .flatMap((job) => {
      const samples = Number(job.metadata?.annotations?.[EVALUATED_SAMPLES] ?? Number.NaN);
      if (Number.isNaN(samples)) return [];
      return { job, samples, ...stateOf(run, job, observed, now) };
    })
    .toSorted((a, b) => a.samples - b.samples);

/** Returns the results of the newest successful evaluation, by module. */
export function accuraciesOf(evaluations: readonly ObservedEvaluation[]): Map<string, Accuracy> {
  const { result } = evaluations.findLast((each) => each.result !== undefined) ?? {};
  return new Map(
    Object.entries(result?.modules ?? {}).map(([name, [accuracy, accuracyUntrained]]) => [
      name,
      { accuracy, accuracyUntrained },
    ]),
  );
}

function stateOf(
  run: KubernetesRun,
  job: V1Job,
  observed: Observed,
  now: Date,
): Omit<ObservedEvaluation, 'job' | 'samples'> {
  const pods = podsOf(observed.pods, job);
  if (isFailed(job)) return { state: 'failed', failure: jobFailure(job, pods) };
  if (isComplete(job)) return outcome(pods);
  const [pod] = trainers(pods, 1);
  // Another container keeps the pod.
  const kept = pod && isActive(pod) && trainerStatus(pod)?.state?.terminated?.exitCode === 0;
  const result = kept && decodeEvaluationResult(trainerStatus(pod)?.state?.terminated?.message);
  if (result) return { state: 'complete', result };
  const queue = queueLabels(run)[KUEUE_QUEUE];
  const warnings = observed.warnings ?? new Map();
  return { state: 'underWay', waits: pendingCause({ job, pod, queue, warnings, now }) };
}

function outcome(pods: readonly V1Pod[]): Omit<ObservedEvaluation, 'job' | 'samples'> {
  const pod = pods.find(({ status }) => status?.phase === 'Succeeded');
  if (pod) {
    const result = decodeEvaluationResult(trainerStatus(pod)?.state?.terminated?.message);
    if (result) return { state: 'complete', result };
    return { state: 'failed', failure: `${pod.metadata?.name} left no results behind` };
  }
  // Jobs and pods are watched apart: this end may not have been seen yet.
  if (pods.some(isActive)) return { state: 'underWay' };
  return { state: 'failed', failure: 'its pod was deleted before its results were seen' };
}
