import type { Condition, ModuleResource, Report, Run, RunSpec } from '@greedy-infomax/crds';
import type {
  KubernetesObject,
  V1ConfigMap,
  V1Job,
  V1ObjectMeta,
  V1Pod,
} from '@kubernetes/client-node';
import type { StreamPlan } from '../stream.ts';
import type { Phase } from './names.ts';

/** What goes into a plan for Kubernetes and what comes out of it. */

export interface KubernetesRun {
  apiVersion: Run['apiVersion'];
  kind: Run['kind'];
  metadata: V1ObjectMeta & { name: string; namespace: string; uid: string };
  spec: RunSpec;
  status?: RunStatus;
}

interface Percentiles {
  p50: number;
  p95: number;
}

/** Figures from a trainer's reports. */
export interface Figures {
  step?: number;
  samples?: number;
  percent?: number;
  etaSeconds?: number;
  loss?: number;
  samplesPerSecond?: number;
  stalenessSteps?: Percentiles;
  stalenessSeconds?: Percentiles;
  samplesDropped?: number;
  samplesReused?: number;
  checkpointStep?: number;
}

export interface Accuracy {
  accuracy: number;
  accuracyUntrained: number;
}

/** A module in the status of its run. */
export interface ModuleRow extends Figures, Partial<Accuracy> {
  name: string;
  phase: Phase;
  /** Why it is not at work, in one word and in words. */
  reason?: string;
  message?: string;
  /** Trainers that there should be, and those that are ready. */
  replicas: number;
  readyReplicas: number;
  /** Trainers that failed and were started again; disruptions do not count. */
  restarts?: number;
}

export interface RunStatus {
  phase?: Phase;
  /** Why it is Pending, or what ended it. */
  message?: string;
  /** Ready trainers of those wanted, such as 2/3. */
  ready?: string;
  /** Of the slowest module. */
  percent?: number;
  /** Of the slowest module. */
  etaSeconds?: number;
  conditions?: Condition[];
  modules?: ModuleRow[];
  /** When the trainers were last let loose; not there while the run is suspended. */
  startTime?: string;
  completionTime?: string;
  observedGeneration?: number;
}

/** The status of a GreedyInfoMaxModule. */
export interface ModuleResourceStatus extends Figures {
  phase: Phase;
  replicas: number;
  readyReplicas: number;
  selector: string;
}

/** A reason and its words, as in a Kubernetes event or condition. */
export interface Cause {
  reason: string;
  message: string;
}

/** What is there for a run, as far as informers and subscriptions know. */
export interface Observed {
  modules: readonly ObservedModule[];
  jobs: readonly V1Job[];
  configMaps: readonly V1ConfigMap[];
  pods: readonly V1Pod[];
  /** The newest of each replica. */
  reports: readonly ObservedReport[];
  /** The newest Warning event about each Job and pod, as long as it is recent, by `Kind/name`. */
  warnings?: ReadonlyMap<string, Cause>;
  /** What linear readouts found, by module. */
  accuracies?: ReadonlyMap<string, Accuracy>;
}

/** `receivedAt`: milliseconds by the operator's own clock, against which silence is measured. */
export type ObservedReport = Report & { receivedAt?: number };

export interface ObservedModule extends KubernetesObject {
  spec: ModuleResource['spec'];
}

export interface PlanOptions {
  /** Image of trainers whose run names none. */
  trainerImage: string;
  natsUrl: string;
  /** Samples that module 0 draws from, if that is known; needed for a budget in epochs. */
  dataSetSize?: number;
}

export interface PlanInput {
  run: KubernetesRun;
  observed: Observed;
  now: Date;
  options: PlanOptions;
}

/** One object to delete, dependents first. */
export interface ObjectRef {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  /** A precondition: another object of that name stays. */
  uid?: string;
}

export interface PlannedEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}

export interface KubernetesPlan {
  /** Bodies for server-side apply, in this order. */
  apply: KubernetesObject[];
  /** To delete, with propagationPolicy Foreground. */
  remove: ObjectRef[];
  /** To keep there; null: delete those of the run. */
  streams: StreamPlan[] | null;
  status: RunStatus;
  /** Status of each GreedyInfoMaxModule, by its name. */
  moduleStatus: Map<string, ModuleResourceStatus>;
  /** To send once the status is written. */
  events: PlannedEvent[];
  /** Modules whose trainers may end. */
  released: string[];
  /** When to plan again even if nothing happens. */
  requeueAfterSeconds?: number;
}
