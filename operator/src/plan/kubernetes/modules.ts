import { API_GROUP, API_VERSION, type Module } from '@greedy-infomax/crds';
import type { KubernetesObject } from '@kubernetes/client-node';
import { REASONS } from './names.ts';
import { childMetadata, childName } from './objects.ts';
import type { KubernetesRun, ObservedModule, PlannedEvent } from './types.ts';

/**
 * The GreedyInfoMaxModule of a module. It says `replicas` only when the run file does: server-side apply
 * then makes the run the owner of the number, and leaves it to whoever scales otherwise.
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

/** How many trainers a module should have: what the run says, else what its module object says, else 1. */
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
