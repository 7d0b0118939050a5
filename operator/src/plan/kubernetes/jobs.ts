import { EXIT, FINAL_EXIT_CODES, type Module } from '@greedy-infomax/crds';
import type { V1Job, V1PodFailurePolicyRule } from '@kubernetes/client-node';
import { BACKOFF_LIMIT, CONTAINER, KUEUE_LABELS, KUEUE_QUEUE, TEMPLATE_HASH } from './names.ts';
import { secretName } from './nats-secret.ts';
import { canonicalJson, childMetadata, childName, hash } from './objects.ts';
import { podTemplate } from './pod.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

export interface JobInput {
  run: KubernetesRun;
  module: Module;
  configMapName: string;
  replicas: number;
  suspend: boolean;
  options: PlanOptions;
  /** The Job as it is, if there is one. */
  observed?: V1Job;
}

/**
 * The Indexed Job of a module: completions and parallelism are the number of trainers and change together,
 * which Kubernetes allows on a Job that runs. None at all is a suspended Job, as one of 0 completions would be
 * complete at once.
 */
export function trainerJob(input: JobInput): V1Job {
  const { run, module, replicas, suspend, options } = input;
  const name = childName(run.metadata.name, module.name);
  const metadata = childMetadata(run, module.name, name);
  const trainers = Math.max(1, replicas);
  const queue = queueLabels(run);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, ...queue },
      annotations: { [TEMPLATE_HASH]: templateHash(input) },
    },
    spec: {
      completionMode: 'Indexed',
      completions: trainers,
      parallelism: trainers,
      backoffLimit: run.spec.backoffLimit ?? options.runDefaults?.backoffLimit ?? BACKOFF_LIMIT,
      ...fixedSpec(input),
      // With a queue it is Kueue that starts and stops the Job.
      ...(KUEUE_QUEUE in queue ? {} : { suspend: suspend || replicas === 0 }),
    },
  };
}

/** Fields that cannot change. Another default of a newer operator is no reason to restart a module. */
function fixedSpec({ run, module, configMapName, options, observed }: JobInput) {
  if (observed?.spec) {
    const { podReplacementPolicy, podFailurePolicy, template } = observed.spec;
    return { podReplacementPolicy, podFailurePolicy, template };
  }
  return {
    // Never two writers of one checkpoint folder: the next pod waits until the former has ended, not only until its
    // deletion began.
    podReplacementPolicy: 'Failed',
    podFailurePolicy: { rules: FAILURE_RULES },
    template: podTemplate(run, module, configMapName, options),
  };
}

export const FAILURE_RULES: V1PodFailurePolicyRule[] = [
  {
    action: 'FailJob',
    onExitCodes: { containerName: CONTAINER, operator: 'In', values: [...FINAL_EXIT_CODES] },
  },
  // Evictions, preemptions and drains, and pods that somebody deletes.
  { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  {
    action: 'Ignore',
    onExitCodes: { containerName: CONTAINER, operator: 'In', values: [EXIT.stopped] },
  },
];

/** Returns the labels that Kueue reads on the Job; none when the run is in no queue. */
export function queueLabels({ metadata, spec }: KubernetesRun): Record<string, string> {
  const copied = Object.entries(metadata.labels ?? {}).filter(([key]) =>
    KUEUE_LABELS.includes(key),
  );
  return {
    ...Object.fromEntries(copied),
    ...(spec.queueName !== undefined && { [KUEUE_QUEUE]: spec.queueName }),
  };
}

/** Returns the hash of all that the run sets for the module's pods, and of their NATS credentials. */
function templateHash({ run, module, configMapName, options }: JobInput): string {
  const { spec } = run;
  const { podTemplate, checkpoints } = spec;
  const nats = options.natsSecret && secretName(run);
  const resources = module.resources ?? spec.resources;
  const { storage } = checkpoints;
  const own = module.podTemplate;
  return hash(canonicalJson({ configMapName, podTemplate, own, resources, storage, nats }), 10);
}

/** Reports whether the run now needs pods that the Job cannot be changed to have. */
export const isOutdated = (observed: V1Job, planned: V1Job): boolean =>
  observed.metadata?.annotations?.[TEMPLATE_HASH] !==
  planned.metadata?.annotations?.[TEMPLATE_HASH];

/** Reports whether the Job controller set this condition on the Job. */
export const hasCondition = (job: V1Job | undefined, type: string): boolean =>
  job?.status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false;

export const isComplete = (job: V1Job | undefined): boolean =>
  hasCondition(job, 'Complete') || hasCondition(job, 'SuccessCriteriaMet');

export const isFailed = (job: V1Job | undefined): boolean =>
  hasCondition(job, 'Failed') || hasCondition(job, 'FailureTarget');

/** Reports whether the Job was deleted, but still has pods or finalizers. */
export const isBeingDeleted = (job: V1Job | undefined): boolean =>
  job?.metadata?.deletionTimestamp !== undefined;

/**
 * Returns how a Job stops while its run is suspended or its module has no trainers. Kubernetes ends the pods of a
 * suspended Job and keeps the Job. Kueue starts every Job in its queue, so such a Job must be removed.
 */
export function jobWithoutTrainers(run: KubernetesRun): 'suspend' | 'remove' {
  return KUEUE_QUEUE in queueLabels(run) ? 'remove' : 'suspend';
}

/** Returns the message of a run that is suspended, or about to be. */
export function suspensionMessage(run: KubernetesRun, activePods: number): string {
  if (activePods > 0) return `waits for ${activePods} trainers to write checkpoints and end`;
  return run.spec.checkpoints.storage
    ? 'all trainers have ended; they will go on from their checkpoints'
    : 'all trainers have ended; they will start over, as there is no checkpoints.storage';
}
