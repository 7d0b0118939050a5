import type { PodTemplate, Resources } from '@greedy-infomax/crds';
import type {
  V1Container,
  V1PodTemplateSpec,
  V1Probe,
  V1ResourceRequirements,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import {
  CHECKPOINT_FOLDER,
  COMPONENT,
  CONFIG_FILE,
  CONFIG_FOLDER,
  CONTAINER,
  GPU,
  GRACE_SECONDS,
  HUNG_SECONDS,
  PROGRESS_FILE,
  PROGRESS_VARIABLE,
  replicaFolder,
  STARTUP_SECONDS,
  TERMINATION_LOG,
  USER_ID,
} from './names.ts';
import { natsParts } from './nats-secret.ts';
import { moduleLabels } from './objects.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

/** Volumes of a pod beside those of the run's pod template. */
export const CONFIG = 'config';
export const CHECKPOINTS = 'checkpoints';
const TMP = 'tmp';

const STARTUP_PERIOD = 5;
const LIVENESS_PERIOD = 30;

/** The pod of one trainer of the module, with what `spec.podTemplate` says. */
export function podTemplate(
  run: KubernetesRun,
  module: string,
  configMapName: string,
  resources: Resources | undefined,
  options: PlanOptions,
): V1PodTemplateSpec {
  const claimName = run.spec.checkpoints.storage?.volumeClaimName;
  const nats = natsParts(run, options);
  return runPod(run, options, {
    component: 'trainer',
    labels: moduleLabels(run.metadata.name, module),
    container: {
      command: ['node', '--disable-warning=ExperimentalWarning', 'trainer/src/main.ts'],
      args: [
        ...['--config', `${CONFIG_FOLDER}/${CONFIG_FILE}`],
        ...['--out', replicaFolder(run.metadata.name, module, '$(JOB_COMPLETION_INDEX)')],
        ...['--replica', '$(JOB_COMPLETION_INDEX)'],
      ],
      env: [
        ...nats.env,
        { name: PROGRESS_VARIABLE, value: PROGRESS_FILE },
        { name: 'TERMINATION_LOG', value: TERMINATION_LOG },
      ],
      resources: resourcesWithGpu(resources),
      startupProbe: probe(STARTUP_PERIOD, STARTUP_SECONDS, 'true'),
      livenessProbe: probe(
        LIVENESS_PERIOD,
        // The file's age allows for HUNG_SECONDS; one late answer of a busy node is no reason to kill.
        3 * LIVENESS_PERIOD,
        `Date.now() - fs.statSync(file).mtimeMs < ${HUNG_SECONDS * 1000}`,
      ),
      volumeMounts: [
        { name: CONFIG, mountPath: CONFIG_FOLDER, readOnly: true },
        { name: CHECKPOINTS, mountPath: CHECKPOINT_FOLDER },
        ...nats.volumeMounts,
      ],
    },
    volumes: [
      { name: CONFIG, configMap: { name: configMapName } },
      {
        name: CHECKPOINTS,
        ...(claimName ? { persistentVolumeClaim: { claimName } } : { emptyDir: {} }),
      },
      ...nats.volumes,
    ],
  });
}

/** What one pod of a run has that others have not. */
interface PodParts {
  component: 'trainer' | 'readout' | 'cleanup';
  labels: Record<string, string>;
  container: Omit<V1Container, 'name' | 'image'>;
  volumes: V1Volume[];
}

/** A pod of a run, with what `spec.podTemplate` says. */
export function runPod(
  run: KubernetesRun,
  options: PlanOptions,
  { component, labels, container, volumes }: PodParts,
): V1PodTemplateSpec {
  const template: PodTemplate = run.spec.podTemplate ?? {};
  return {
    metadata: {
      labels: {
        ...template.labels,
        ...labels,
        'app.kubernetes.io/name': 'greedy-infomax',
        [COMPONENT]: component,
      },
      ...(template.annotations && { annotations: template.annotations }),
    },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: GRACE_SECONDS,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER_ID,
        runAsGroup: USER_ID,
        fsGroup: USER_ID,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...pick(template, [
        'nodeSelector',
        'tolerations',
        'affinity',
        'priorityClassName',
        'runtimeClassName',
        'serviceAccountName',
        'imagePullSecrets',
      ]),
      containers: [
        {
          name: CONTAINER,
          image: template.image ?? options.trainerImage,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          // Without a message of its own, the end of its log is what a failed container leaves behind.
          terminationMessagePolicy: 'FallbackToLogsOnError',
          ...container,
          env: [
            ...(container.env ?? []),
            { name: 'HOME', value: '/tmp' },
            ...((template.env ?? []) as V1Container['env'] & object),
          ],
          volumeMounts: [
            { name: TMP, mountPath: '/tmp' },
            ...(container.volumeMounts ?? []),
            ...(template.volumes ?? []).map(mount),
          ],
        },
      ],
      volumes: [
        { name: TMP, emptyDir: {} },
        ...volumes,
        ...(template.volumes ?? []).map(({ mountPath, subPath, readOnly, ...volume }) => volume),
      ],
    },
  };
}

const mount = (volume: NonNullable<PodTemplate['volumes']>[number]): V1VolumeMount => ({
  name: volume.name,
  ...pick(volume, ['mountPath', 'subPath', 'readOnly']),
  mountPath: volume.mountPath,
});

/** Asks the progress file with node itself, as an image need not have a shell. */
const probe = (periodSeconds: number, withinSeconds: number, alive: string): V1Probe => ({
  exec: {
    command: [
      'node',
      '-e',
      `const file = '${PROGRESS_FILE}'; process.exit(fs.existsSync(file) && ${alive} ? 0 : 1)`,
    ],
  },
  periodSeconds,
  timeoutSeconds: Math.min(20, periodSeconds),
  failureThreshold: withinSeconds / periodSeconds,
});

/** One GPU, unless the run names devices itself; a limit of 0 asks for none. */
export function resourcesWithGpu(resources: Resources = {}): V1ResourceRequirements {
  const limits = { ...(!namesDevice(resources) && { [GPU]: 1 }), ...resources.limits };
  const clean = (quantities: Record<string, string | number> = {}) =>
    Object.fromEntries(
      Object.entries(quantities)
        .map(([name, quantity]) => [name, String(quantity)] as const)
        .filter(([name, quantity]) => name !== GPU || quantity !== '0'),
    );
  return {
    limits: clean(limits),
    ...(resources.requests && { requests: clean(resources.requests) }),
  };
}

const namesDevice = ({ limits, requests }: Resources): boolean =>
  Object.keys({ ...limits, ...requests }).some((name) => /gpu|^nvidia\.com\//.test(name));

/** The named properties that are there. */
const pick = <T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> =>
  Object.fromEntries(
    keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]),
  ) as Pick<T, K>;
