import type {
  ModuleResource,
  ModuleStatus,
  Report,
  Run,
  RunSpec,
  RunStatus,
} from '@greedy-infomax/crds';
import type {
  KubernetesObject,
  V1ConfigMap,
  V1Job,
  V1ObjectMeta,
  V1Pod,
  V1Secret,
} from '@kubernetes/client-node';
import type { NatsPermissions } from '../nats-permissions.ts';
import type { BucketPlan, StatePlan, StreamPlan } from '../stream.ts';
import type { RunDefaults } from './run-defaults.ts';

export type { Figures, ModuleRow, Phase, RunStatus } from '@greedy-infomax/crds';

/** Input and output of a plan for Kubernetes. */

export interface KubernetesRun {
  apiVersion: Run['apiVersion'];
  kind: Run['kind'];
  metadata: V1ObjectMeta & { name: string; namespace: string; uid: string };
  spec: RunSpec;
  status?: RunStatus;
}

export interface Accuracy {
  accuracy: number;
  accuracyUntrained: number;
}

/** The status of a GreedyInfoMaxModule. */
export type ModuleResourceStatus = ModuleStatus &
  Required<Pick<ModuleStatus, 'phase' | 'replicas' | 'readyReplicas' | 'selector'>>;

/** A reason and its words, as in a Kubernetes event or condition. */
export interface Cause {
  reason: string;
  message: string;
}

/** Objects and reports of a run, as informers and subscriptions know them. */
export interface Observed {
  modules: readonly ObservedModule[];
  jobs: readonly V1Job[];
  configMaps: readonly V1ConfigMap[];
  pods: readonly V1Pod[];
  /** The newest of each replica. */
  reports: readonly ObservedReport[];
  /** Recent Warning events about Jobs and pods. */
  warnings?: Warnings;
  /** Why the operator cannot use NATS; undefined if it can. */
  nats?: Cause;
}

/** A Warning event, which says what was so at a time and perhaps is not any more. */
export interface Warning extends Cause {
  /** Uid of the object that it is about. */
  uid?: string;
  /** When it was last seen, in milliseconds since the epoch. */
  at: number;
}

/** Warning events by the `Kind/name` of their object. */
export type Warnings = ReadonlyMap<string, readonly Warning[]>;

/** `receivedAt`: milliseconds by the operator's own clock, against which silence is measured. */
export type ObservedReport = Report & { receivedAt?: number };

export interface ObservedModule extends KubernetesObject {
  spec: ModuleResource['spec'];
  status?: ModuleStatus;
}

export interface PlanOptions {
  /** Image of trainers whose run names none. */
  trainerImage: string;
  natsUrl: string;
  /** Access of trainers to NATS beside the URL: credentials (`user`), and the CA certificate of the server. */
  natsSecret?: { user: boolean; ca?: string };
  /** Samples that module 0 draws from, if that is known; needed for a budget in epochs. */
  dataSetSize?: number;
  /** Defaults of the installation, below what a run says. */
  runDefaults?: RunDefaults;
  /** Let pod templates reach the node: host namespaces, hostPath, privileged containers. Default: refuse them. */
  allowHostAccess?: boolean;
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
  /** Module that it is about; its own object gets the event, too. */
  module?: { name: string; message: string };
}

export interface PlannedCredentials {
  /** The Secret without the credentials, which are signed anew each time it is written. */
  secret: V1Secret;
  /** Under `key` of the Secret; none where the server lets everybody in. */
  user?: {
    key: string;
    namespace: string;
    uid: string;
    name: string;
    permissions: NatsPermissions;
    generation: number;
  };
  /** A pod waits for a volume, which may be this one: somebody may have deleted it. */
  missed: boolean;
}

export interface KubernetesPlan {
  /** Bodies for server-side apply, in this order. */
  apply: KubernetesObject[];
  /** To delete, with propagationPolicy Foreground. */
  remove: ObjectRef[];
  /** To keep there; null: delete those of the run. */
  streams: (StreamPlan | StatePlan | BucketPlan)[] | null;
  /** Secret with the trainers' access to NATS, applied before their Jobs. */
  credentials?: PlannedCredentials;
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
