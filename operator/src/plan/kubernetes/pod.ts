import type { Module, ModulePodTemplate, Resources } from '@greedy-infomax/crds';
import type {
  V1Container,
  V1PodTemplateSpec,
  V1Probe,
  V1ResourceRequirements,
  V1Volume,
} from '@kubernetes/client-node';
import { mergeTemplate } from './merge-template.ts';
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
import { runTemplates } from './pod-templates.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

/** Volumes of a pod beside those of the run's pod template. */
export const CONFIG = 'config';
export const CHECKPOINTS = 'checkpoints';
const TMP = 'tmp';

const STARTUP_PERIOD = 5;
const LIVENESS_PERIOD = 30;

/** Returns the pod of the module's trainers: the operator's own, with the run's and the module's template merged onto it. */
export function podTemplate(
  run: KubernetesRun,
  module: Module,
  configMapName: string,
  options: PlanOptions,
): V1PodTemplateSpec {
  const templates = [...runTemplates(run), module.podTemplate ?? {}];
  return mergedPod(trainerPod(run, module, configMapName, options), options, templates);
}

/** Returns the pod of the module's trainers before any template is merged. */
export function trainerPod(
  run: KubernetesRun,
  { name: module, resources }: Module,
  configMapName: string,
  options: PlanOptions,
): V1PodTemplateSpec {
  const asked = resources ?? run.spec.resources ?? options.runDefaults?.resources;
  const claimName = run.spec.checkpoints.storage?.volumeClaimName;
  const nats = natsParts(run, options);
  return runPod(options, {
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
      resources: asked as V1ResourceRequirements | undefined,
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

/** Parts of a run's pod that depend on its component. */
interface PodParts {
  component: 'trainer' | 'evaluation' | 'cleanup';
  labels: Record<string, string>;
  container: Omit<V1Container, 'name' | 'image'>;
  volumes: V1Volume[];
}

/** Returns a pod of a run before any template is merged. It complies with the pod security standard "restricted". */
export function runPod(
  options: PlanOptions,
  { component, labels, container, volumes }: PodParts,
): V1PodTemplateSpec {
  return {
    metadata: {
      labels: {
        ...labels,
        'app.kubernetes.io/name': 'greedy-infomax',
        [COMPONENT]: component,
      },
    },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: GRACE_SECONDS,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: options.runDefaults?.podSecurityContext ?? {
        runAsNonRoot: true,
        runAsUser: USER_ID,
        runAsGroup: USER_ID,
        fsGroup: USER_ID,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: CONTAINER,
          image: options.trainerImage,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          // Without a message of its own, the end of its log is what a failed container leaves behind.
          terminationMessagePolicy: 'FallbackToLogsOnError',
          ...container,
          volumeMounts: [{ name: TMP, mountPath: '/tmp' }, ...(container.volumeMounts ?? [])],
        },
      ],
      volumes: [{ name: TMP, emptyDir: {} }, ...volumes],
    },
  };
}

/** Merges the installation's template and then `templates` onto the pod. `gpu`: its trainer gets one unless it names a device. */
export function mergedPod(
  pod: V1PodTemplateSpec,
  { runDefaults }: PlanOptions,
  templates: readonly ModulePodTemplate[],
  { gpu = true } = {},
): V1PodTemplateSpec {
  // Before the templates, so that one may set another home folder.
  const home = { containers: [{ name: CONTAINER, env: [{ name: 'HOME', value: '/tmp' }] }] };
  const { metadata, spec } = [{ spec: home }, runDefaults?.podTemplate ?? {}, ...templates].reduce(
    mergeTemplate,
    pod,
  );
  return {
    metadata: { ...metadata, labels: { ...metadata?.labels, ...pod.metadata?.labels } },
    spec: spec && {
      ...spec,
      containers: spec.containers.map((container) =>
        container.name === CONTAINER && gpu
          ? { ...container, resources: resourcesWithGpu(container.resources) }
          : container,
      ),
    },
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

/** Adds one GPU to the limits unless a device or a resource claim is named; a limit of 0 asks for none. */
export function resourcesWithGpu(
  resources: Resources & Pick<V1ResourceRequirements, 'claims'> = {},
): V1ResourceRequirements {
  const { claims = [] } = resources;
  const named = namesDevice(resources) || claims.length > 0;
  const limits = { ...(!named && { [GPU]: 1 }), ...resources.limits };
  const clean = (quantities: Record<string, string | number> = {}) =>
    Object.fromEntries(
      Object.entries(quantities)
        .map(([name, quantity]) => [name, String(quantity)] as const)
        .filter(([name, quantity]) => name !== GPU || quantity !== '0'),
    );
  return {
    ...(resources as V1ResourceRequirements),
    limits: clean(limits),
    ...(resources.requests && { requests: clean(resources.requests) }),
  };
}

const namesDevice = ({ limits, requests }: Resources): boolean =>
  Object.keys({ ...limits, ...requests }).some((name) => /gpu|^nvidia\.com\//.test(name));
