import { LABELS } from '@greedy-infomax/crds';
import type { V1Job } from '@kubernetes/client-node';
import { isComplete, isFailed } from './jobs.ts';
import { CHECKPOINT_FOLDER, CLEANUP_SECONDS, REASONS, runFolder } from './names.ts';
import { childName, hash, jobRef, millis, ownedBy, runMetadata } from './objects.ts';
import { CHECKPOINTS, runPod } from './pod.ts';
import { isActive } from './pods.ts';
import type { KubernetesRun, ObjectRef, Observed, PlannedEvent, PlanOptions } from './types.ts';

/** Removing the checkpoints of a run that is being deleted, where `checkpoints.retain` is false. */

export interface Cleanup {
  apply?: V1Job;
  remove: ObjectRef[];
  /** The run need not be kept any longer. */
  done: boolean;
  event?: PlannedEvent;
}

/**
 * First the run's pods end, as they write checkpoints; then a Job removes the run's folder. A claim that
 * cannot be mounted must not keep the run for good: after CLEANUP_SECONDS its checkpoints stay.
 */
export function cleanupOf(
  run: KubernetesRun,
  observed: Pick<Observed, 'jobs' | 'pods'>,
  now: Date,
  options: PlanOptions,
): Cleanup {
  const claimName = run.spec.checkpoints.storage?.volumeClaimName;
  if (run.spec.checkpoints.retain !== false || claimName === undefined) {
    return { remove: [], done: true };
  }
  const name = cleanupName(run);
  const job = observed.jobs.find(({ metadata }) => metadata?.name === name);
  const remove = job ? [jobRef(job)] : [];
  if (job && isComplete(job)) return { remove, done: true };
  const since = millis(run.metadata.deletionTimestamp) ?? now.getTime();
  const late = now.getTime() - since > CLEANUP_SECONDS * 1000;
  if (late || (job && isFailed(job))) {
    const why = late ? `were not removed within ${CLEANUP_SECONDS} s` : 'could not be removed';
    const message = `checkpoints ${why}; they stay on claim ${claimName}, in folder ${run.metadata.name}`;
    return { remove, done: true, event: { type: 'Warning', reason: REASONS.notCleaned, message } };
  }
  if (job) return { remove: [], done: false };
  const jobs = observed.jobs.filter((each) => ownedBy(run.metadata.uid, each));
  if (jobs.length > 0) {
    const staying = jobs.filter(({ metadata }) => metadata?.deletionTimestamp === undefined);
    return { remove: staying.map(jobRef), done: false };
  }
  // Their Job is gone already where the garbage collector was faster.
  const active = observed.pods.some(
    (pod) => pod.metadata?.labels?.[LABELS.run] === run.metadata.name && isActive(pod),
  );
  if (active) return { remove: [], done: false };
  return { apply: cleanupJob(run, claimName, options), remove: [], done: false };
}

/** No module's name begins with a hyphen; and that of an earlier run of the same name may still be there. */
const cleanupName = ({ metadata }: KubernetesRun): string =>
  childName(metadata.name, `-cleanup-${hash(metadata.uid, 8)}`);

const SCRIPT = `require('node:fs').rmSync(process.argv[1], { recursive: true, force: true })`;

/** The run does not own it: the garbage collector takes what a deleted run owns before this has done its work. */
function cleanupJob(run: KubernetesRun, claimName: string, options: PlanOptions): V1Job {
  const { ownerReferences, ...metadata } = runMetadata(run, cleanupName(run));
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata,
    spec: {
      backoffLimit: 1,
      activeDeadlineSeconds: CLEANUP_SECONDS,
      // In case that no operator is there to remove it.
      ttlSecondsAfterFinished: CLEANUP_SECONDS,
      template: runPod(run, options, {
        component: 'cleanup',
        labels: { [LABELS.run]: run.metadata.name },
        container: {
          command: ['node', '-e', SCRIPT, runFolder(run.metadata.name)],
          volumeMounts: [{ name: CHECKPOINTS, mountPath: CHECKPOINT_FOLDER }],
        },
        volumes: [{ name: CHECKPOINTS, persistentVolumeClaim: { claimName } }],
      }),
    },
  };
}
