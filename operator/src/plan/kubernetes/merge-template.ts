import type { ModulePodTemplate } from '@greedy-infomax/crds';
import type { V1PodTemplateSpec } from '@kubernetes/client-node';

/**
 * Strategic merge of pod templates, as `kubectl patch --type=strategic` merges them: maps field by field, lists of
 * the table below by their key, all other lists as a whole. Null removes a field.
 */

/** Lists merged by key (the API's patchMergeKey). Containers merge field by field; other items replace the former. */
const LISTS: Readonly<Record<string, { key: string; deep?: true }>> = {
  containers: { key: 'name', deep: true },
  initContainers: { key: 'name', deep: true },
  volumes: { key: 'name' },
  imagePullSecrets: { key: 'name' },
  resourceClaims: { key: 'name' },
  schedulingGates: { key: 'name' },
  hostAliases: { key: 'ip' },
  topologySpreadConstraints: { key: 'topologyKey' },
  env: { key: 'name' },
  ports: { key: 'containerPort' },
  volumeMounts: { key: 'mountPath' },
  volumeDevices: { key: 'devicePath' },
};

/** Returns `base` with the template merged onto it. Lists keep the base's order; new items follow. */
export const mergeTemplate = (
  base: V1PodTemplateSpec,
  template: ModulePodTemplate,
): V1PodTemplateSpec => mergeMaps(base, template) as V1PodTemplateSpec;

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `base` and `patch` are JSON objects. */
function mergeMaps(base: object, patch: object): Fields {
  const merged: Record<string, unknown> = { ...base };
  for (const [field, value] of Object.entries(patch)) {
    const result = merge(merged[field], value, LISTS[field]);
    if (result === undefined) delete merged[field];
    else merged[field] = result;
  }
  return merged;
}

/** Undefined: the field is removed. */
function merge(base: unknown, patch: unknown, list?: { key: string; deep?: true }): unknown {
  if (patch === null) return undefined;
  if (isFields(patch)) return mergeMaps(isFields(base) ? base : {}, patch);
  const hasKeys = list && Array.isArray(patch) && patch.every((item) => isFields(item));
  if (!hasKeys) return patch;
  // A Map keeps the place of a key that is set again.
  const items = new Map<unknown, unknown>();
  for (const item of Array.isArray(base) ? base : []) items.set((item as Fields)[list.key], item);
  for (const item of patch) {
    const key = item[list.key];
    items.set(key, mergeMaps((list.deep && (items.get(key) as Fields)) || {}, item));
  }
  return [...items.values()];
}
