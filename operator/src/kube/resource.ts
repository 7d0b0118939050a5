import { API_GROUP, API_VERSION, type ModuleResource, type Run } from '@greedy-infomax/crds';
import type {
  V1ConfigMap,
  V1JobSpec,
  V1JobStatus,
  V1PodSpec,
  V1PodStatus,
  V1Secret,
} from '@kubernetes/client-node';

/** Kinds of objects, and their paths in the API. */

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Metadata as JSON: times are strings, unlike in the client library's classes. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** Type of a value after JSON serialization: dates are strings. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

export type RunObject = KubeObject & Pick<Run, 'spec' | 'status'>;
export type ModuleObject = KubeObject & Pick<ModuleResource, 'spec' | 'status'>;
export type JobObject = KubeObject & { spec?: Wire<V1JobSpec>; status?: Wire<V1JobStatus> };
export type PodObject = KubeObject & { spec?: Wire<V1PodSpec>; status?: Wire<V1PodStatus> };
export type ConfigMapObject = KubeObject & Pick<V1ConfigMap, 'data' | 'immutable'>;
export type SecretObject = KubeObject & Pick<V1Secret, 'data' | 'stringData' | 'type'>;
export type LeaseObject = KubeObject & { spec?: LeaseSpec };
export type EventObject = KubeObject & EventFields;

/** Spec of a `coordination.k8s.io/v1` Lease; times have six fractional digits of a second. */
export interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

/** Fields of an `events.k8s.io/v1` Event. */
export interface EventFields {
  eventTime: string;
  reportingController: string;
  reportingInstance: string;
  action: string;
  reason: string;
  regarding: { apiVersion: string; kind: string; namespace: string; name: string; uid: string };
  type: 'Normal' | 'Warning';
  note: string;
  series?: { count: number; lastObservedTime: string };
}

/** A kind and its path in the API; `T` is the type of its objects. */
export interface Resource<T extends KubeObject = KubeObject> {
  apiVersion: string;
  kind: string;
  plural: string;
  /** Immutable fields of the spec, which need no comparison once an object exists. */
  fixed?: readonly string[];
  /**
   * Fields of the spec that keep their value when they are no longer applied, so that others may set them.
   */
  kept?: readonly string[];
  /**
   * True if only the metadata is mirrored and compared. The rest never changes, because the name identifies
   * the content.
   */
  metadataOnly?: boolean;
  /** Carries the type only; never set at run time. */
  object?: T;
}

const OWN = `${API_GROUP}/${API_VERSION}`;

export const RUNS: Resource<RunObject> = {
  apiVersion: OWN,
  kind: 'GreedyInfoMaxRun',
  plural: 'greedyinfomaxruns',
};
export const MODULES: Resource<ModuleObject> = {
  apiVersion: OWN,
  kind: 'GreedyInfoMaxModule',
  plural: 'greedyinfomaxmodules',
  kept: ['replicas'],
};
export const JOBS: Resource<JobObject> = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  plural: 'jobs',
  fixed: ['podFailurePolicy', 'podReplacementPolicy', 'template'],
};
export const PODS: Resource<PodObject> = { apiVersion: 'v1', kind: 'Pod', plural: 'pods' };
export const CONFIG_MAPS: Resource<ConfigMapObject> = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
};
export const SECRETS: Resource<SecretObject> = {
  apiVersion: 'v1',
  kind: 'Secret',
  plural: 'secrets',
};
export const LEASES: Resource<LeaseObject> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
};
export const EVENTS: Resource<EventObject> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
};

/** The fields of a CRD that the operator reads. */
export type CrdObject = KubeObject & {
  spec: { versions: { name: string; served: boolean; schema?: { openAPIV3Schema?: object } }[] };
};
export const CRDS: Resource<CrdObject> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
};

/**
 * Returns `/apis/batch/v1/namespaces/NAMESPACE/jobs/NAME/SUBRESOURCE`. Without `namespace`, the path covers
 * all namespaces.
 */
export function pathOf(
  { apiVersion, plural }: Resource,
  namespace?: string,
  name?: string,
  subresource?: string,
): string {
  const parts = [
    ...(apiVersion.includes('/') ? ['apis', ...apiVersion.split('/')] : ['api', apiVersion]),
    ...(namespace === undefined ? [] : ['namespaces', namespace]),
    plural,
    ...(name === undefined ? [] : [name]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/**
 * Returns the key of an object in stores and queues: `NAMESPACE/NAME`, or `NAME` for a cluster-scoped object.
 */
export const keyOf = ({ metadata: { namespace, name } }: KubeObject): string =>
  namespace === undefined ? name : `${namespace}/${name}`;

/** Returns the owner reference of the object's controller. */
export const controllerOf = ({ metadata }: KubeObject): OwnerReference | undefined =>
  metadata.ownerReferences?.find(({ controller }) => controller === true);

/** Formats a date as RFC 3339 with the six fractional digits that Lease and Event times require. */
export const microTime = (date: Date): string => date.toISOString().replace('Z', '000Z');
