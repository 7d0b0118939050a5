import {
  encodeTrainerEnding,
  parseRun,
  type Report,
  type TrainedEnding,
} from '@greedy-infomax/crds';
import type { V1Job, V1ObjectMeta, V1Pod } from '@kubernetes/client-node';
import { CONTAINER, TEMPLATE_HASH } from '../names.ts';
import { childMetadata, childName, timestamp } from '../objects.ts';
import { planKubernetes } from '../plan.ts';
import type {
  KubernetesPlan,
  KubernetesRun,
  ModuleRow,
  Observed,
  ObservedModule,
  PlanOptions,
} from '../types.ts';

/** Short words for runs and for what is there of them. */

export const START = new Date('2026-01-01T00:00:00Z');
export const after = (seconds: number): Date => new Date(START.getTime() + seconds * 1000);

export const OPTIONS: PlanOptions = { trainerImage: 'trainer:1', natsUrl: 'nats://nats:4222' };
export const NOTHING: Observed = { modules: [], jobs: [], configMaps: [], pods: [], reports: [] };

const FILE = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: small }
spec:
  data: { format: digits }
  augmentation: { crop: 28 }
  patches: { size: 4, stride: 4 }
  modules:
    - { name: first, layers: [{ type: conv, channels: 8 }] }
    - { name: second, layers: [{ type: residual, channels: 16, stride: 2 }] }
  objective: { type: infoNCE }
  training: { samples: 640 }
`;

/** A run of two modules, first and second. */
export function aRun(
  spec: Partial<KubernetesRun['spec']> = {},
  rest: { metadata?: Partial<V1ObjectMeta>; status?: KubernetesRun['status'] } = {},
): KubernetesRun {
  const { apiVersion, kind, spec: defaults } = parseRun(FILE, 'run.yaml');
  const metadata = { name: 'small', namespace: 'team', uid: 'run-1', generation: 1 };
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, ...rest.metadata } as KubernetesRun['metadata'],
    spec: { ...defaults, ...spec },
    ...(rest.status && { status: rest.status }),
  };
}

/** The run with `change` made to its modules of the given name. */
export const withModule = (
  name: string,
  change: Partial<KubernetesRun['spec']['modules'][0]>,
  run = aRun(),
): KubernetesRun => ({
  ...run,
  spec: {
    ...run.spec,
    modules: run.spec.modules.map((each) => (each.name === name ? { ...each, ...change } : each)),
  },
});

export const plan = (
  run: KubernetesRun,
  observed: Partial<Observed> = {},
  now: Date = START,
  options: Partial<PlanOptions> = {},
): KubernetesPlan =>
  planKubernetes({
    run,
    observed: { ...NOTHING, ...observed },
    now,
    options: { ...OPTIONS, ...options },
  });

/** The objects of a kind that a plan applies. */
export const applied = <T = V1Job>(planned: KubernetesPlan, kind: string): T[] =>
  planned.apply.filter((object) => object.kind === kind) as T[];

export const removed = (planned: KubernetesPlan): string[] =>
  planned.remove.map(({ kind, name }) => `${kind}/${name}`);

export const condition = ({ status }: KubernetesPlan, type: string) =>
  status.conditions?.find((each) => each.type === type);

export const row = ({ status }: KubernetesPlan, name: string): ModuleRow | undefined =>
  status.modules?.find((each) => each.name === name);

/** The Job of a module as a plan for `run` makes it, and as it is on the server. */
export function aJob(
  module: string,
  run: KubernetesRun = aRun(),
  change: Partial<V1Job> = {},
): V1Job {
  const unsuspended = { ...run, spec: { ...run.spec, suspend: false }, status: undefined };
  const job = applied(plan(unsuspended), 'Job').find(
    ({ metadata }) => metadata?.name === childName(run.metadata.name, module),
  );
  return {
    ...job,
    metadata: { ...job?.metadata, uid: `job-${module}` },
    ...change,
  };
}

export const ended = (
  job: V1Job,
  type: 'Complete' | 'Failed',
  { reason = 'CompletionsReached', message = 'Reached expected number of succeeded pods' } = {},
): V1Job => ({
  ...job,
  status: {
    ...job.status,
    conditions: [{ type, status: 'True', reason, message, lastTransitionTime: START }],
  },
});

/** A pod of `aJob`, running and ready unless `status` says otherwise. */
export function aPod(module: string, replica = 0, change: Partial<V1Pod> = {}): V1Pod {
  const startedAt = timestamp(START) as unknown as Date;
  return {
    metadata: {
      name: `small-${module}-${replica}-x`,
      namespace: 'team',
      labels: { 'batch.kubernetes.io/job-completion-index': String(replica) },
      ownerReferences: [
        { apiVersion: 'batch/v1', kind: 'Job', name: `small-${module}`, uid: `job-${module}` },
      ],
      creationTimestamp: START,
      ...change.metadata,
    },
    status: change.status ?? {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [containerStatus({ running: { startedAt } })],
    },
  };
}

/** A trainer's word that its module is complete. */
export const anEnding = (module: string, change: Partial<TrainedEnding> = {}): TrainedEnding => ({
  outcome: 'complete',
  run: 'run-1',
  module,
  replica: 0,
  step: 20,
  samples: 640,
  budget: 640,
  checkpoint: { step: 20, file: 'checkpoint-000000020.safetensors', sha256: 'a'.repeat(64) },
  ...change,
});

/** A pod whose trainer ended with exit code 0 and left `message`. */
export const aDonePod = (
  module: string,
  message = encodeTrainerEnding(anEnding(module)),
  replica = 0,
): V1Pod =>
  aPod(module, replica, {
    status: {
      phase: 'Succeeded',
      containerStatuses: [
        containerStatus({
          terminated: { exitCode: 0, message, startedAt: START, finishedAt: after(1) },
        }),
      ],
    },
  });

/** The run with all modules training from the start, so that each has a Job. */
const atOnce = (run: KubernetesRun): KubernetesRun => ({
  ...run,
  spec: { ...run.spec, order: aRun().spec.order },
});

/** Modules that are complete: their Jobs, and pods with proof. */
export const trained = (run = aRun(), modules = ['first', 'second']): Partial<Observed> => ({
  jobs: modules.map((module) => ended(aJob(module, atOnce(run)), 'Complete')),
  pods: modules.map((module) => aDonePod(module)),
});

type ContainerStatus = NonNullable<NonNullable<V1Pod['status']>['containerStatuses']>[0];

export const containerStatus = (state: ContainerStatus['state']): ContainerStatus => ({
  name: CONTAINER,
  image: 'trainer:1',
  imageID: '',
  ready: state?.running !== undefined,
  restartCount: 0,
  state,
});

/** A pod that failed with the code, after it left `message` behind. */
export const aFailedPod = (module: string, exitCode: number, message?: string): V1Pod =>
  aPod(module, 0, {
    status: {
      phase: 'Failed',
      containerStatuses: [
        containerStatus({
          terminated: { exitCode, message, startedAt: START, finishedAt: after(1) },
        }),
      ],
    },
  });

export const aPendingPod = (module: string, status: V1Pod['status']): V1Pod =>
  aPod(module, 0, { status: { phase: 'Pending', ...status } });

export const aReport = (module: string, change: Partial<Report> = {}): Report => ({
  run: 'small',
  module,
  replica: 0,
  phase: 'training',
  step: 10,
  samplesTrained: 320,
  samplesTotal: 640,
  loss: 2.5,
  lossFirst: 5,
  samplesPerSecond: 32,
  stalenessSteps: null,
  stalenessSeconds: null,
  samplesDropped: 0,
  samplesReused: 0,
  checkpointStep: null,
  at: after(1).getTime(),
  ...change,
});

export const aModuleObject = (module: string, replicas: number): ObservedModule => ({
  metadata: { ...childMetadata(aRun(), module, childName('small', module)), generation: 1 },
  spec: { runName: 'small', index: 0, replicas },
});

/** Returns both modules in training: Jobs, running pods and reports of the given phase. */
export const atWork = (phase: Report['phase'] = 'training', run = aRun()): Partial<Observed> => ({
  jobs: [aJob('first', run), aJob('second', run)],
  pods: [aPod('first'), aPod('second')],
  reports: [aReport('first', { phase }), aReport('second', { phase })],
});

/** The run with the status that a plan gave it. */
export const following = (run: KubernetesRun, planned: KubernetesPlan): KubernetesRun => ({
  ...run,
  status: planned.status,
});

export const templateHashOf = (job: V1Job | undefined): string | undefined =>
  job?.metadata?.annotations?.[TEMPLATE_HASH];
