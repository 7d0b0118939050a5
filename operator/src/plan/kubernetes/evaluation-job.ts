import { LABELS, type ModuleConfig } from '@greedy-infomax/crds';
import type { V1ConfigMap, V1Job, V1ResourceRequirements, V1Volume } from '@kubernetes/client-node';
import { FAILURE_RULES, queueLabels } from './jobs.ts';
import {
  CHECKPOINT_FOLDER,
  CONFIG_FILE,
  CONFIG_FOLDER,
  EVALUATED_SAMPLES,
  EVALUATION_BACKOFF_LIMIT,
  runFolder,
  TEMPLATE_HASH,
  TERMINATION_LOG,
} from './names.ts';
import { natsParts, secretName } from './nats-secret.ts';
import { canonicalJson, childName, hash, runMetadata } from './objects.ts';
import { CHECKPOINTS, CONFIG, mergedPod, runPod } from './pod.ts';
import { runTemplates, withoutResources } from './pod-templates.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

export interface EvaluationTarget {
  /** Samples that the slowest module has trained on. */
  samples: number;
  /** True once all modules are trained. */
  final: boolean;
}

/** No module's name begins with a hyphen, so none of the run's other Jobs is called so. */
export const evaluationName = (run: KubernetesRun, { samples, final }: EvaluationTarget): string =>
  childName(run.metadata.name, `-evaluation-${final ? 'end' : samples}`);

/**
 * The Job that trains a linear probe on every module, from the newest checkpoints on the run's claim or in
 * its bucket. `configMaps` are those of `modules`. It needs no trainer that runs, and NATS for a bucket alone.
 */
export function evaluationJob(
  run: KubernetesRun,
  target: EvaluationTarget,
  modules: readonly ModuleConfig[],
  configMaps: readonly V1ConfigMap[],
  options: PlanOptions,
): V1Job {
  const metadata = runMetadata(run, evaluationName(run, target));
  const resources = run.spec.evaluation.resources ?? run.spec.resources;
  const { runDefaults } = options;
  const own = run.spec.evaluation.resources ?? runDefaults?.evaluationResources;
  const config: V1Volume = {
    name: CONFIG,
    projected: {
      sources: modules.map(({ name }, i) => ({
        configMap: {
          name: configMaps[i]?.metadata?.name,
          items: [{ key: CONFIG_FILE, path: `${name}/${CONFIG_FILE}` }],
        },
      })),
    },
  };
  const { podTemplate, checkpoints } = run.spec;
  const { volumeClaimName: claimName } = checkpoints.storage ?? {};
  const place = claimName === undefined ? natsParts(run, options) : claimParts(claimName);
  const nats = claimName === undefined ? options.natsSecret && secretName(run) : undefined;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, ...queueLabels(run) },
      annotations: {
        [TEMPLATE_HASH]: hash(
          canonicalJson({ config, claimName, podTemplate, resources, nats }),
          10,
        ),
        [EVALUATED_SAMPLES]: String(target.samples),
      },
    },
    spec: {
      backoffLimit: EVALUATION_BACKOFF_LIMIT,
      podFailurePolicy: { rules: FAILURE_RULES },
      template: mergedPod(
        runPod(options, {
          component: 'evaluation',
          labels: { [LABELS.run]: run.metadata.name },
          container: {
            command: [
              'node',
              '--disable-warning=ExperimentalWarning',
              'trainer/src/evaluate/main.ts',
            ],
            args: [
              ...['--config', CONFIG_FOLDER],
              ...(claimName === undefined ? [] : ['--checkpoints', runFolder(run.metadata.name)]),
              // The message that this container leaves behind is the accuracies.
              ...['--result', TERMINATION_LOG],
            ],
            env: place.env,
            resources: (own ?? run.spec.resources ?? runDefaults?.resources) as
              | V1ResourceRequirements
              | undefined,
            volumeMounts: [
              { name: CONFIG, mountPath: CONFIG_FOLDER, readOnly: true },
              ...place.volumeMounts,
            ],
          },
          volumes: [config, ...place.volumes],
        }),
        options,
        own ? withoutResources(runTemplates(run)) : runTemplates(run),
      ),
    },
  };
}

/** Returns the read-only volume of a claim. */
const claimParts = (claimName: string): ReturnType<typeof natsParts> => ({
  env: [],
  volumeMounts: [{ name: CHECKPOINTS, mountPath: CHECKPOINT_FOLDER, readOnly: true }],
  volumes: [{ name: CHECKPOINTS, persistentVolumeClaim: { claimName } }],
});
