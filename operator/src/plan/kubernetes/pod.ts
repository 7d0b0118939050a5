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
  USER_ID,
} from './names.ts';
import { moduleLabels } from './objects.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

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
  const template: PodTemplate = run.spec.podTemplate ?? {};
  return {
    metadata: {
      labels: {
        ...template.labels,
        ...moduleLabels(run.metadata.name, module),
        'app.kubernetes.io/name': 'greedy-infomax',
        'app.kubernetes.io/component': 'trainer',
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
      containers: [container(run, module, template, resources, options)],
      volumes: volumes(run, configMapName, template),
    },
  };
}

function container(
  run: KubernetesRun,
  module: string,
  template: PodTemplate,
  resources: Resources | undefined,
  options: PlanOptions,
): V1Container {
  return {
    name: CONTAINER,
    image: template.image ?? options.trainerImage,
    command: ['node', '--disable-warning=ExperimentalWarning', 'trainer/src/main.ts'],
    args: [
      ...['--config', `${CONFIG_FOLDER}/${CONFIG_FILE}`],
      ...['--out', replicaFolder('$(JOB_COMPLETION_INDEX)')],
      ...['--replica', '$(JOB_COMPLETION_INDEX)'],
    ],
    env: [
      { name: 'NATS_URL', value: options.natsUrl },
      { name: PROGRESS_VARIABLE, value: PROGRESS_FILE },
      { name: 'HOME', value: '/tmp' },
      ...((template.env ?? []) as V1Container['env'] & object),
    ],
    resources: resourcesWithGpu(resources),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    startupProbe: probe(STARTUP_PERIOD, STARTUP_SECONDS, 'true'),
    livenessProbe: probe(
      LIVENESS_PERIOD,
      // The file's age allows for HUNG_SECONDS; one late answer of a busy node is no reason to kill.
      3 * LIVENESS_PERIOD,
      `Date.now() - fs.statSync(file).mtimeMs < ${HUNG_SECONDS * 1000}`,
    ),
    // Without a message of its own, the end of its log is what a failed trainer leaves behind.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: mounts(run, module, template),
  };
}

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

/** Volumes of trainers beside those of the run's pod template. */
const OWN = ['config', 'tmp', 'checkpoints'] as const;
const [CONFIG, TMP, CHECKPOINTS] = OWN;

function volumes(run: KubernetesRun, configMapName: string, template: PodTemplate): V1Volume[] {
  const claimName = run.spec.checkpoints.storage?.volumeClaimName;
  return [
    { name: CONFIG, configMap: { name: configMapName } },
    { name: TMP, emptyDir: {} },
    {
      name: CHECKPOINTS,
      ...(claimName ? { persistentVolumeClaim: { claimName } } : { emptyDir: {} }),
    },
    ...(template.volumes ?? []).map(({ mountPath, subPath, readOnly, ...volume }) => volume),
  ];
}

function mounts(run: KubernetesRun, module: string, template: PodTemplate): V1VolumeMount[] {
  const claimed = run.spec.checkpoints.storage?.volumeClaimName !== undefined;
  return [
    { name: CONFIG, mountPath: CONFIG_FOLDER, readOnly: true },
    { name: TMP, mountPath: '/tmp' },
    {
      name: CHECKPOINTS,
      mountPath: CHECKPOINT_FOLDER,
      ...(claimed && { subPath: `${run.metadata.name}/${module}` }),
    },
    ...(template.volumes ?? []).map((volume) => ({
      name: volume.name,
      ...pick(volume, ['mountPath', 'subPath', 'readOnly']),
      mountPath: volume.mountPath,
    })),
  ];
}

/** The named properties that are there. */
const pick = <T extends object, K extends keyof T>(from: T, keys: readonly K[]): Pick<T, K> =>
  Object.fromEntries(
    keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]),
  ) as Pick<T, K>;
