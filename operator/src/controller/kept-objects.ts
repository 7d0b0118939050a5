import { API_GROUP } from '@greedy-infomax/crds';
import { JOBS, type KubeObject, RUNS } from '../kube/resource.ts';
import { isCleanupJob } from '../plan/kubernetes/cleanup.ts';

/**
 * Filters for the caches. Any user may give an object our labels, so an object is kept only if a run or its
 * Job owns it and its size is plausible. Pods and events keep only the fields that the planner reads.
 */

/** Maximum bytes of a kept object, as JSON. A Job has up to 32 kB of the run's pod fields. */
const BYTES_MAX = 131_072;
/** Maximum characters of the message of a container or an event. */
const MESSAGE_MAX = 4096;

/** Maximum bytes of the metadata of a ConfigMap, as JSON. */
const METADATA_BYTES_MAX = 8192;

const small = <T>(object: T, max = BYTES_MAX): T | undefined =>
  JSON.stringify(object).length <= max ? object : undefined;

/** Returns a Job or a module that a run owns. */
export const ownedByRun = (object: KubeObject): KubeObject | undefined =>
  isOwnedBy(object, `${API_GROUP}/`, RUNS.kind) ? small(object) : undefined;

/** Returns a Job that a run owns, or a clean-up Job, which has no owner. */
export const jobOfRun = (object: KubeObject): KubeObject | undefined =>
  isCleanupJob(object) ? small(object) : ownedByRun(object);

/** Returns the metadata of a ConfigMap that a run owns; its name identifies its content. */
export const configMapOfRun = ({ apiVersion, kind, metadata }: KubeObject) =>
  small(ownedByRun({ apiVersion, kind, metadata }) ?? null, METADATA_BYTES_MAX) ?? undefined;

type Fields = Record<string, unknown>;

/** Returns a pod that a Job owns. Whether a run owns the Job is not known yet. */
export function podOfJob(object: KubeObject): KubeObject | undefined {
  if (!isOwnedBy(object, 'batch/', JOBS.kind)) return undefined;
  const { apiVersion, kind, metadata, spec, status } = object as KubeObject & Fields;
  return small({
    apiVersion,
    kind,
    metadata: shortened(metadata) as KubeObject['metadata'],
    spec: {
      ...pick(spec, ['nodeName', 'schedulerName', 'tolerations', 'readinessGates']),
      containers: containers(spec, 'containers'),
      initContainers: containers(spec, 'initContainers'),
    },
    status: shortened(status),
  });
}

const containers = (spec: unknown, list: string): Fields[] =>
  listAt(spec, list).map((each) => pick(each, ['name', 'image', 'resources', 'restartPolicy']));

/** Returns a warning event about a pod or a Job. */
export function warningOfChild(object: KubeObject): KubeObject | undefined {
  const { metadata, ...event } = object as KubeObject & Fields;
  const about = pick(event.involvedObject, ['kind', 'namespace', 'name', 'uid']);
  if (about.kind !== 'Pod' && about.kind !== JOBS.kind) return undefined;
  const { namespace, name, uid, resourceVersion, creationTimestamp } = metadata;
  return small({
    ...pick(shortened(event), ['apiVersion', 'kind', 'type', 'reason', 'message', 'count']),
    ...pick(event, ['eventTime', 'firstTimestamp', 'lastTimestamp', 'series']),
    involvedObject: about,
    metadata: { namespace, name, uid, resourceVersion, creationTimestamp },
  } as KubeObject);
}

function isOwnedBy({ metadata }: KubeObject, group: string, kind: string): boolean {
  const owners: unknown = metadata.ownerReferences;
  return (
    Array.isArray(owners) &&
    owners.some(
      (owner: Partial<Record<string, unknown>> | null) =>
        owner?.kind === kind && String(owner.apiVersion).startsWith(group),
    )
  );
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const listAt = (value: unknown, key: string): unknown[] => {
  const list = isFields(value) ? value[key] : undefined;
  return Array.isArray(list) ? list : [];
};

const pick = (value: unknown, keys: readonly string[]): Fields =>
  isFields(value)
    ? Object.fromEntries(keys.filter((key) => key in value).map((key) => [key, value[key]]))
    : {};

/** Returns the value with all nested texts cut to the maximum. */
const shortened = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value ?? {}), (_, part: unknown) =>
    typeof part === 'string' ? part.slice(0, MESSAGE_MAX) : part,
  );
