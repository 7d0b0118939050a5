import type { Client } from '../kube/client.ts';
import {
  CONFIG_MAPS,
  controllerOf,
  JOBS,
  type KubeObject,
  MODULES,
  type Resource,
  RUNS,
  type RunObject,
} from '../kube/resource.ts';
import { type Applied, type Applier, NameTakenError } from '../kube/server-side-apply.ts';
import { together } from '../kube/settle-all.ts';
import type { KubernetesPlan } from '../plan/kubernetes/types.ts';
import type { Children } from './caches.ts';
import { asObjects } from './planner-types.ts';
import { orRefused, RefusedError } from './refused.ts';
import type { RunCredentials } from './run-credentials.ts';

/** Deletes and creates the objects of a run according to its plan. */

export interface CarryOutOptions {
  client: Client;
  applier: Applier;
  credentials: RunCredentials;
}

/** Result of executing a plan. */
export interface Outcome {
  /** Objects that were written, as they are now. */
  written: KubeObject[];
  /** Objects, as observed, whose fields set by the run had been changed by others. The change is undone. */
  undone: KubeObject[];
  /** The first object that cannot be written, if any. Later objects were not tried. */
  obstacle?: NameTakenError | RefusedError;
}

/** ConfigMaps of a plan. They are immutable, and their names identify their content. */
const PLANNED_CONFIG_MAPS: Resource = { ...CONFIG_MAPS, metadataOnly: true };

const RESOURCES: ReadonlyMap<string | undefined, Resource> = new Map(
  [RUNS, MODULES, JOBS, PLANNED_CONFIG_MAPS].map((resource) => [
    resource.kind,
    resource as Resource,
  ]),
);

/**
 * Executes the plan. `beforeJobs` must resolve before the first pod is created.
 * @throws ApiError, UnreachableError
 */
export async function carryOut(
  { client, applier, credentials: secrets }: CarryOutOptions,
  run: RunObject,
  { credentials, remove, apply }: KubernetesPlan,
  children: Children,
  beforeJobs: Promise<unknown>,
): Promise<Outcome> {
  const observed = [...children.modules, ...children.jobs, ...children.configMaps].filter(
    (object) => controllerOf(object)?.uid === run.metadata.uid,
  );
  const written: KubeObject[] = [];
  const undone: KubeObject[] = [];
  const applyOne = async (object: KubeObject): Promise<void> => {
    const there = observed.find(
      ({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name,
    );
    const applied: Applied<KubeObject> = await orRefused(
      object,
      applier.apply(resourceOf(object.kind), object, there),
    );
    if (applied.written) written.push(applied.object);
    if (applied.undone && there) undone.push(there);
  };
  const objects = asObjects(apply);
  const isJob = ({ kind }: KubeObject) => kind === JOBS.kind;
  try {
    if (remove.length > 0) {
      const removals = remove.map(({ kind, namespace, name, uid }) =>
        client.delete(resourceOf(kind), namespace, name, uid),
      );
      await together<unknown>([beforeJobs, ...removals]);
    }
    await together<unknown>([
      beforeJobs,
      ...(credentials ? [orRefused(credentials.secret, secrets.ensure(credentials))] : []),
      ...objects.filter((object) => !isJob(object)).map(applyOne),
    ]);
    // Pods mount ConfigMaps and the Secret, so Jobs come last.
    await together(objects.filter(isJob).map(applyOne));
  } catch (obstacle) {
    if (obstacle instanceof NameTakenError || obstacle instanceof RefusedError)
      return { written, undone, obstacle };
    throw obstacle;
  }
  return { written, undone };
}

/** Returns `children` with `written` in place of older versions that the cache may still hold. */
export function withWritten(children: Children, written: readonly KubeObject[]): Children {
  const of = (resource: Resource, before: KubeObject[]): KubeObject[] => {
    const fresh = written.filter(({ kind }) => kind === resource.kind);
    const names = new Set(fresh.map(({ metadata }) => metadata.name));
    return [...before.filter(({ metadata }) => !names.has(metadata.name)), ...fresh];
  };
  return {
    ...children,
    modules: of(MODULES, children.modules),
    jobs: of(JOBS, children.jobs),
    configMaps: of(CONFIG_MAPS, children.configMaps),
  };
}

function resourceOf(kind: string | undefined): Resource {
  const resource = RESOURCES.get(kind);
  if (resource) return resource;
  throw new TypeError(`the plan holds a ${kind}, which nobody applies or deletes`);
}
