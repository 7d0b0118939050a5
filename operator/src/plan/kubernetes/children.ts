import type { ModuleConfig } from '@greedy-infomax/crds';
import { API_GROUP, API_VERSION, type Module } from '@greedy-infomax/crds';
import type { KubernetesObject, V1ConfigMap, V1Job } from '@kubernetes/client-node';
import { CONFIG_FILE, REASONS } from './names.ts';
import { canonicalJson, childMetadata, childName, hash, refTo } from './objects.ts';
import type { KubernetesRun, ObjectRef, ObservedModule, PlannedEvent } from './types.ts';

/** Returns the ConfigMap that a trainer reads. It is immutable: other content has another name. */
export function configMap(run: KubernetesRun, config: ModuleConfig): V1ConfigMap {
  const text = canonicalJson(config);
  const name = `${childName(run.metadata.name, config.name)}-${hash(text, 10)}`;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: childMetadata(run, config.name, name),
    immutable: true,
    data: { [CONFIG_FILE]: text },
  };
}

/** ConfigMaps that neither the plan nor a Job still there needs. */
export function unusedConfigMaps(
  observed: readonly V1ConfigMap[],
  planned: readonly V1ConfigMap[],
  jobs: readonly V1Job[],
): ObjectRef[] {
  const used = new Set([
    ...planned.map(({ metadata }) => metadata?.name),
    ...jobs
      .flatMap(({ spec }) => spec?.template.spec?.volumes ?? [])
      .flatMap(({ configMap, projected }) => [
        configMap?.name,
        ...(projected?.sources ?? []).map((source) => source.configMap?.name),
      ]),
  ]);
  return observed
    .filter(({ metadata }) => !used.has(metadata?.name))
    .map((object) => refTo('v1', 'ConfigMap', object));
}

/**
 * Returns the GreedyInfoMaxModule of a module. It sets `replicas` only when the run file does: server-side apply
 * then makes the run the owner of the field, and otherwise leaves it to the client that scales.
 */
export function moduleObject(
  run: KubernetesRun,
  module: Module,
  index: number,
): KubernetesObject & { spec: { runName: string; index: number; replicas?: number } } {
  return {
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: 'GreedyInfoMaxModule',
    metadata: childMetadata(run, module.name, childName(run.metadata.name, module.name)),
    spec: {
      runName: run.metadata.name,
      index,
      ...(module.replicas !== undefined && { replicas: module.replicas }),
    },
  };
}

/** Returns the wanted number of trainers: from the run, else from the module's object, else 1. */
export const wantedReplicas = (module: Module, object: ObservedModule | undefined): number =>
  module.replicas ?? object?.spec.replicas ?? 1;

/** The event about a module that was scaled although the run sets its replicas; undefined if it was not scaled. */
export function scaleUndone(
  run: KubernetesRun,
  object: Pick<ObservedModule, 'spec'>,
): PlannedEvent | undefined {
  const { index, replicas } = object.spec;
  const module = run.spec.modules[index];
  if (module?.replicas === undefined || replicas === module.replicas) return undefined;
  const message = `module ${module.name}: scaled to ${replicas} replicas, but the run sets replicas: ${module.replicas}, which stays; change it in the run, or remove it from the run to scale the module`;
  return { type: 'Warning', reason: REASONS.scaleUndone, message };
}
