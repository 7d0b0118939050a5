import { API_GROUP, API_VERSION, type Module } from '@greedy-infomax/crds';
import type { KubernetesObject } from '@kubernetes/client-node';
import { childMetadata, childName } from './objects.ts';
import type { KubernetesRun, ObservedModule } from './types.ts';

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
