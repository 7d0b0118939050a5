import type { Run } from '@greedy-infomax/crds';
import type { KubernetesObject } from '@kubernetes/client-node';
import type { BucketPlan, StatePlan, StreamPlan } from '../stream.ts';
import { REASONS } from './names.ts';
import { planKubernetes } from './plan.ts';
import type { KubernetesRun, PlanOptions } from './types.ts';

/** Returns the objects that the operator would create for a new run. */
export interface Rendering {
  objects: KubernetesObject[];
  streams: (StreamPlan | StatePlan | BucketPlan)[];
}

/** A run that the operator would refuse. */
export class UnrenderableRunError extends Error {
  override readonly name = 'UnrenderableRunError';
}

/** In place of the one that the API server gives. It is part of a trainer's configuration, so of the names of ConfigMaps too. */
const UID = '00000000-0000-0000-0000-000000000000';

/** Without owners, as their uids are not known. Throws an `UnrenderableRunError`. */
export function renderRun(run: Run, namespace: string, options: PlanOptions): Rendering {
  const { apiVersion, kind, metadata, spec } = run;
  const seen: KubernetesRun = {
    apiVersion,
    kind,
    metadata: { ...metadata, namespace, uid: UID, generation: 1 },
    spec,
  };
  const nothing = { modules: [], jobs: [], configMaps: [], pods: [], reports: [] };
  const { apply, streams, status } = planKubernetes({
    run: seen,
    observed: nothing,
    now: new Date(0),
    options,
  });
  const failed = status.conditions?.find(({ reason }) => reason === REASONS.invalid);
  if (failed) throw new UnrenderableRunError(status.message ?? failed.message);
  return { objects: apply.map(withoutOwner), streams: streams ?? [] };
}

const withoutOwner = (object: KubernetesObject): KubernetesObject => {
  const { ownerReferences: _, ...metadata } = object.metadata ?? {};
  return { ...object, metadata };
};
