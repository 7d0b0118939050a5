import { LABELS } from '@greedy-infomax/crds';
import type {
  KubernetesObject,
  V1Job,
  V1Pod,
  V1ResourceRequirements,
} from '@kubernetes/client-node';
import { CLEANUP_PROGRAM } from './cleanup-program.ts';
import { isBeingDeleted, isComplete, isFailed } from './jobs.ts';
import {
  CHECKPOINT_FOLDER,
  CLEANUP_RESOURCES,
  CLEANUP_SECONDS,
  COMPONENT,
  runFolder,
} from './names.ts';
import { canonicalJson, childName, hash, jobRef, ownedBy, runMetadata } from './objects.ts';
import { CHECKPOINTS, mergedPod, runPod } from './pod.ts';
import { podTemplateErrors } from './pod-template-errors.ts';
import { placementTemplates } from './pod-templates.ts';
import { isActive } from './pods.ts';
import type { KubernetesRun, ObjectRef, Observed, PlanOptions } from './types.ts';

/**
 * Removal of the checkpoints of a deleted run, where `checkpoints.retain` is false. No finalizer: it would keep
 * namespaces and CRDs when the operator is gone. Instead a suspended Job, which the run does not own, is there
 * as long as the run, and the operator starts it when the run is gone.
 */

const CLEANUP = 'cleanup';
/** On a clean-up Job: hash of its pod template. Another hash means another Job. */
const TEMPLATE = 'greedyinfomax.dev/template-hash';

/** Returns the clean-up Job that is missing and the one that is out of date. */
export function plannedCleanup(
  run: KubernetesRun,
  jobs: readonly V1Job[],
  options: PlanOptions,
): { apply: V1Job[]; remove: ObjectRef[] } {
  const there = jobs.find(({ metadata }) => metadata?.name === cleanupName(run));
  const wanted = cleanupJob(run, options);
  if (there === undefined) return { apply: wanted ? [wanted] : [], remove: [] };
  const template = (job: V1Job | undefined) => job?.metadata?.annotations?.[TEMPLATE];
  const isOutdated = template(wanted) !== template(there);
  return { apply: [], remove: isOutdated && !isBeingDeleted(there) ? [jobRef(there)] : [] };
}

/** Reports whether a Job cleans up after a run: it has the label, and no owner. */
export const isCleanupJob = ({
  metadata,
}: {
  metadata?: { labels?: Record<string, string>; ownerReferences?: unknown };
}): boolean => metadata?.labels?.[COMPONENT] === CLEANUP && metadata.ownerReferences === undefined;

/** Returns the unfinished clean-up Jobs of runs other than `run`, which had its name before. */
export const formerCleanups = (
  jobs: readonly V1Job[],
  run?: Pick<KubernetesRun, 'metadata'>,
): V1Job[] =>
  jobs.filter(
    (job) =>
      job.metadata?.labels?.[COMPONENT] === CLEANUP &&
      !isBeingDeleted(job) &&
      !(run && job.metadata.name === cleanupName(run)) &&
      !isComplete(job) &&
      !isFailed(job),
  );

/**
 * Reports whether the trainers of all runs except the one of uid `current` have ended. Until then they write
 * checkpoints.
 */
export function haveFormerEnded(
  { jobs, pods }: Pick<Observed, 'jobs' | 'pods'>,
  current: string | undefined,
): boolean {
  const isFormer = (object: KubernetesObject) => current === undefined || !ownedBy(current, object);
  const owned = jobs.filter(({ metadata }) => metadata?.labels?.[COMPONENT] !== CLEANUP);
  const currentJobs = new Set(
    owned.filter((job) => !isFormer(job)).map(({ metadata }) => metadata?.uid),
  );
  const isFormerPod = ({ metadata }: V1Pod) =>
    metadata?.labels?.[COMPONENT] !== CLEANUP &&
    !metadata?.ownerReferences?.some(({ uid }) => currentJobs.has(uid));
  return !owned.some(isFormer) && !pods.some((pod) => isActive(pod) && isFormerPod(pod));
}

/** Name of a run's clean-up Job: no module's name begins with a hyphen; each uid has its own. */
export const cleanupName = ({ metadata }: Pick<KubernetesRun, 'metadata'>): string =>
  childName(metadata.name, `-cleanup-${hash(metadata.uid, 8)}`);

/** Undefined where the checkpoints stay. The Job has no owner: the garbage collector would delete it with the run. */
function cleanupJob(run: KubernetesRun, options: PlanOptions): V1Job | undefined {
  const claimName = run.spec.checkpoints.storage?.volumeClaimName;
  if (run.spec.checkpoints.retain !== false || claimName === undefined) return undefined;
  const { ownerReferences, ...metadata } = runMetadata(run, cleanupName(run));
  const pod = runPod(options, {
    component: CLEANUP,
    labels: { [LABELS.run]: run.metadata.name },
    container: {
      command: ['node', '-e', CLEANUP_PROGRAM, runFolder(run.metadata.name), run.metadata.uid],
      resources: (options.runDefaults?.cleanupResources ??
        CLEANUP_RESOURCES) as V1ResourceRequirements,
      volumeMounts: [{ name: CHECKPOINTS, mountPath: CHECKPOINT_FOLDER }],
    },
    volumes: [{ name: CHECKPOINTS, persistentVolumeClaim: { claimName } }],
  });
  // A template that the operator refuses for trainers does not get into this pod, either.
  const refused = podTemplateErrors(run, options).length > 0;
  const placement = refused ? [] : placementTemplates(run);
  const template = mergedPod(pod, options, placement, { gpu: false });
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, [COMPONENT]: CLEANUP },
      annotations: { [TEMPLATE]: hash(canonicalJson(template), 10) },
    },
    spec: {
      suspend: true,
      backoffLimit: 1,
      activeDeadlineSeconds: CLEANUP_SECONDS,
      ttlSecondsAfterFinished: CLEANUP_SECONDS,
      template,
    },
  };
}
