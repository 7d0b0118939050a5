import {
  decodeTrainerEnding,
  EXIT,
  type Failure,
  provesCompletion,
  type Report,
} from '@greedy-infomax/crds';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { failureOf } from './failure.ts';
import { isBeingDeleted, isComplete } from './jobs.ts';
import { REASONS } from './names.ts';
import { millis, timestamp } from './objects.ts';
import { keptBySidecar } from './pending.ts';
import { isActive, replicaOf, reportOf, trainerStatus, trainers } from './pods.ts';
import { withRemedy } from './remedies.ts';
import type { Cause, KubernetesRun } from './types.ts';

/**
 * Decides whether a module is complete. Its Job and exit codes prove nothing: a trainer must have reported, in its
 * termination message or its last report, that the budget is spent and that its newest checkpoint is of the last
 * step.
 */

/** Evidence of a trainer about its module. */
export interface Evidence {
  step: number;
  samples: number;
  checkpointStep: number;
}

export type Completion =
  /** `keeper`: another container keeps a pod whose trainer has ended. */
  | { proven: true; evidence: Evidence; keeper?: Cause }
  /** All trainers have ended with exit code 0, and none of them, or not every one, has left proof. */
  | { proven: false; failure: Failure };

interface CompletionInput {
  run: KubernetesRun;
  name: string;
  wanted: number;
  job: V1Job | undefined;
  /** Pods of the Job. */
  pods: readonly V1Pod[];
  /** Reports of the module's trainers. */
  reports: readonly Report[];
}

/** Returns undefined while a trainer has not ended, or has failed. */
export function completionOf({
  run,
  name,
  wanted,
  job,
  pods,
  reports,
}: CompletionInput): Completion | undefined {
  if (job === undefined || wanted === 0) return undefined;
  const proofOf = (pod: V1Pod) => wordOf(run, name, pod) ?? reportedBy(reportOf(pod, reports));
  const each = trainers(pods, wanted).filter((pod) => pod !== undefined);
  const ended = each.filter(hasEndedWell);
  const unproven = ended.find((pod) => proofOf(pod) === undefined);
  const proofs = ended.flatMap((pod) => proofOf(pod) ?? []);
  if (isComplete(job)) {
    // Jobs and pods are watched apart: this end may not have been seen yet.
    if (each.some((pod) => isActive(pod) && !hasEndedWell(pod))) return undefined;
    if (unproven) return { proven: false, failure: failureOf(unproven, reports) };
    // A pod that is gone leaves its word to the others, and to what came over NATS.
    const evidence = furthest(proofs) ?? furthest(reportsSince(job, reports));
    if (evidence) return { proven: true, evidence };
    // The pods of a deleted Job end before it; status already has what they reported.
    return isBeingDeleted(job) ? undefined : { proven: false, failure: podsGone(name, job) };
  }
  if (ended.length < wanted) return undefined;
  if (unproven) {
    return isActive(unproven)
      ? { proven: false, failure: failureOf(unproven, reports) }
      : undefined;
  }
  const evidence = furthest(proofs);
  if (!evidence) return undefined;
  const kept = ended.find(isActive);
  return { proven: true, evidence, ...(kept && { keeper: withRemedy(keptBySidecar(kept)) }) };
}

/** Reports whether the pod's trainer ended with exit code 0. Other containers of the pod do not count. */
const hasEndedWell = (pod: V1Pod): boolean =>
  trainerStatus(pod)?.state?.terminated?.exitCode === EXIT.ok ||
  (pod.status?.phase === 'Succeeded' && trainerStatus(pod) === undefined);

/** Returns what the termination message of the pod's trainer proves of this module. */
function wordOf(run: KubernetesRun, module: string, pod: V1Pod): Evidence | undefined {
  const ending = decodeTrainerEnding(trainerStatus(pod)?.state?.terminated?.message);
  if (ending === null || ending.outcome === 'failed' || !provesCompletion(ending)) return undefined;
  if (ending.run !== run.metadata.uid || ending.module !== module) return undefined;
  if (ending.replica !== replicaOf(pod)) return undefined;
  const { step, samples, checkpoint } = ending;
  return { step, samples, checkpointStep: checkpoint?.step ?? step };
}

/** Returns what the last report of a trainer proves. */
function reportedBy(report: Report | undefined): Evidence | undefined {
  if (report?.phase !== 'finished' || report.checkpointStep !== report.step) return undefined;
  const { step, others = {} } = report;
  const samples = Object.values(others).reduce((sum, each) => sum + each, report.samplesTrained);
  if (samples === 0 || samples < report.samplesTotal) return undefined;
  return { step, samples, checkpointStep: step };
}

/** Returns what trainers of the Job proved in their last reports. */
function reportsSince({ status }: V1Job, reports: readonly Report[]): Evidence[] {
  const started = millis(status?.startTime);
  return reports
    .filter(({ at }) => started !== undefined && at >= started)
    .flatMap((report) => reportedBy(report) ?? []);
}

const furthest = (proofs: readonly Evidence[]): Evidence | undefined =>
  proofs.toSorted((a, b) => a.samples - b.samples).at(-1);

/** Returns the failure of trainers that left no evidence. The next trainer reads the checkpoint and reports. */
function podsGone(module: string, { metadata, status }: V1Job): Failure {
  return {
    reason: REASONS.noEvidence,
    message: `Job ${metadata?.name} of module ${module} has ended and its pods are gone, so nothing proves what they trained; the next trainer reads the newest checkpoint`,
    time: timestamp(new Date(millis(status?.completionTime) ?? 0)),
  };
}

/** Identity of a failure: the same pod at the same time. */
export const isSameFailure = (a: Failure | undefined, b: Failure | undefined): boolean =>
  a?.time === b?.time && a?.pod === b?.pod;
