import { LABELS, type ModuleConfig } from '@greedy-infomax/crds';
import type { V1ConfigMap, V1Job, V1Volume } from '@kubernetes/client-node';
import { FAILURE_RULES, queueLabels } from './jobs.ts';
import {
  CHECKPOINT_FOLDER,
  CONFIG_FILE,
  CONFIG_FOLDER,
  EVALUATED_SAMPLES,
  EVALUATION_BACKOFF_LIMIT,
  TEMPLATE_HASH,
} from './names.ts';
import { canonicalJson, childName, hash, runMetadata } from './objects.ts';
import { CHECKPOINTS, CONFIG, resourcesWithGpu, runPod } from './pod.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

/** Where the kubelet looks for the message that a container leaves behind: here it is the accuracies. */
const RESULT_FILE = '/dev/termination-log';

export interface ReadoutTarget {
  /** Of the slowest module. */
  samples: number;
  /** Whether all modules are trained. */
  final: boolean;
}

/** No module's name begins with a hyphen, so none of the run's other Jobs is called so. */
export const readoutName = (run: KubernetesRun, { samples, final }: ReadoutTarget): string =>
  childName(run.metadata.name, `-evaluation-${final ? 'end' : samples}`);

/**
 * The Job that trains a linear readout on every module, from the newest checkpoints on the run's claim
 * `claimName`. `configMaps` are those of `modules`. It needs neither NATS nor a trainer that runs.
 */
export function readoutJob(
  run: KubernetesRun,
  target: ReadoutTarget,
  claimName: string,
  modules: readonly ModuleConfig[],
  configMaps: readonly V1ConfigMap[],
  options: PlanOptions,
): V1Job {
  const metadata = runMetadata(run, readoutName(run, target));
  const resources = run.spec.evaluation.resources ?? run.spec.resources;
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
  const { podTemplate } = run.spec;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, ...queueLabels(run) },
      annotations: {
        [TEMPLATE_HASH]: hash(canonicalJson({ config, claimName, podTemplate, resources }), 10),
        [EVALUATED_SAMPLES]: String(target.samples),
      },
    },
    spec: {
      backoffLimit: EVALUATION_BACKOFF_LIMIT,
      podFailurePolicy: { rules: FAILURE_RULES },
      template: runPod(run, options, {
        component: 'readout',
        labels: { [LABELS.run]: run.metadata.name },
        container: {
          command: [
            'node',
            '--disable-warning=ExperimentalWarning',
            'trainer/src/evaluate/main.ts',
          ],
          args: [
            ...['--config', CONFIG_FOLDER],
            ...['--checkpoints', CHECKPOINT_FOLDER],
            ...['--result', RESULT_FILE],
          ],
          resources: resourcesWithGpu(resources),
          volumeMounts: [
            { name: CONFIG, mountPath: CONFIG_FOLDER, readOnly: true },
            {
              name: CHECKPOINTS,
              mountPath: CHECKPOINT_FOLDER,
              subPath: run.metadata.name,
              readOnly: true,
            },
          ],
        },
        volumes: [config, { name: CHECKPOINTS, persistentVolumeClaim: { claimName } }],
      }),
    },
  };
}
