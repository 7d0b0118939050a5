import { createHash } from 'node:crypto';
import { LABELS } from '@greedy-infomax/crds';
import type { KubernetesObject, V1ObjectMeta, V1OwnerReference } from '@kubernetes/client-node';
import type { KubernetesRun, ObjectRef } from './types.ts';

/** Metadata, names and references that all objects of a run share. */

/** A Job's pods are called NAME-INDEX, which must be a DNS label even for index 999. */
const NAME_MAX = 59;

/** Name of a module's objects: RUN-MODULE, or its beginning and a hash where that is too long. */
export function childName(run: string, module: string): string {
  const name = `${run}-${module}`;
  if (name.length <= NAME_MAX) return name;
  return `${name.slice(0, NAME_MAX - 9).replace(/-+$/, '')}-${hash(name, 8)}`;
}

/** Labels of everything that belongs to a module; also what selects its pods. */
export const moduleLabels = (run: string, module: string): Record<string, string> => ({
  [LABELS.run]: run,
  [LABELS.module]: module,
});

/** For `kubectl scale` and autoscalers: selects the pods of one module and no others. */
export const selectorOf = (run: string, module: string): string =>
  Object.entries(moduleLabels(run, module))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

/** Returns the metadata of an object that belongs to the run as a whole. */
export const runMetadata = (run: KubernetesRun, name: string): V1ObjectMeta => ({
  name,
  namespace: run.metadata.namespace,
  labels: {
    [LABELS.run]: run.metadata.name,
    'app.kubernetes.io/name': 'greedy-infomax',
    'app.kubernetes.io/managed-by': 'greedy-infomax',
  },
  ownerReferences: [ownerReference(run)],
});

export function childMetadata(run: KubernetesRun, module: string, name: string): V1ObjectMeta {
  const metadata = runMetadata(run, name);
  return { ...metadata, labels: { ...metadata.labels, [LABELS.module]: module } };
}

const ownerReference = ({ apiVersion, kind, metadata }: KubernetesRun): V1OwnerReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});

/** Reports whether `object` was made for this run and not for an earlier one of the same name. */
export const ownedBy = (uid: string, object: KubernetesObject): boolean =>
  object.metadata?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;

/** `apiVersion` and `kind` are given: items of a list come without them. */
export const refTo = (
  apiVersion: string,
  kind: string,
  { metadata }: KubernetesObject,
): ObjectRef => ({
  apiVersion,
  kind,
  namespace: metadata?.namespace ?? '',
  name: metadata?.name ?? '',
  uid: metadata?.uid,
});

export const jobRef = (job: KubernetesObject): ObjectRef => refTo('batch/v1', 'Job', job);

/** Milliseconds since the epoch. A list gives times as dates, a watch gives them as text. */
export function millis(time: Date | string | undefined): number | undefined {
  const value = time === undefined ? Number.NaN : new Date(time).getTime();
  return Number.isNaN(value) ? undefined : value;
}

/** A time as the API server writes it: in whole seconds. */
export const timestamp = (now: Date): string =>
  new Date(Math.floor(now.getTime() / 1000) * 1000).toISOString().replace('.000', '');

/** JSON with sorted keys, so that equal values give equal text. */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

/**
 * The first digits of a text's SHA-256, an even number of them. Written from its bytes: the slice of a longer text would
 * keep the whole of it in memory.
 */
export const hash = (text: string, length: number): string =>
  createHash('sha256')
    .update(text)
    .digest()
    .toString('hex', 0, length / 2);

/** Reports whether the run keeps its checkpoints in the object store. */
export const usesBucket = ({ spec }: KubernetesRun): boolean =>
  spec.checkpoints.storage?.objectStore !== undefined;
