import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { API_GROUP } from '@greedy-infomax/crds';
import { canonicalJson, hash } from '../plan/kubernetes/objects.ts';
import { ApiError, type Client, isConflict } from './client.ts';
import { controllerOf, type KubeObject, type OwnerReference, type Resource } from './resource.ts';

export const FIELD_MANAGER = 'greedy-infomax';

/** Field manager of fields that are no longer applied, until another manager sets them. */
export const HAND_OVER_MANAGER = `${FIELD_MANAGER}-hand-over`;

/** An object of the same name exists and belongs to another owner. */
export class NameTakenError extends Error {
  override readonly name = 'NameTakenError';
  readonly kind: string;
  readonly object: string;
  /** Controller of the existing object. */
  readonly owner: OwnerReference | undefined;

  constructor(kind: string, object: string, owner: OwnerReference | undefined) {
    const whose = owner ? `belongs to ${owner.kind} ${owner.name}` : 'has no controller';
    super(`${kind} ${object} is there already and ${whose}`);
    this.kind = kind;
    this.object = object;
    this.owner = owner;
  }
}

/** Annotation with a hash of the applied fields. It also shows which fields are no longer applied. */
export const APPLIED_ANNOTATION = `${API_GROUP}/applied`;

/** Maximum attempts of a write that meets a conflict; then the whole reconcile is retried. */
const ATTEMPTS = 4;

export interface Applied<T> {
  /** The object as returned by the API server. */
  object: T;
  /** True if a request was needed. */
  written: boolean;
  /** True if this write undid changes by others to an applied field. */
  undone?: boolean;
}

/** `metadata.managedFields`: field managers and the fields that they set. */
interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: { 'f:spec'?: Record<string, unknown> };
}

/** Fields that this process last applied to an object, and the API server's result. */
interface Memory {
  hash: string;
  /** Hash of the applied fields as returned: defaults filled in, quantities rewritten. */
  result: string;
  /** resourceVersion after the write. */
  version: string | undefined;
}

/**
 * Applies objects and status with server-side apply. Makes no request when the observed object already has the
 * desired state.
 */
export class Applier {
  readonly #client: Client;
  /**
   * Memory by uid of the owner, then of the object. Entries of a deleted object are dropped with its owner.
   */
  readonly #memory = new Map<string, Map<string, Memory>>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Number of objects and statuses with entries here. */
  get size(): number {
    return [...this.#memory.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Creates the object or updates it to `desired`. Fields that were applied before and are missing in
   * `desired` are removed; fields of others stay. An observed object that was deleted meanwhile is not
   * recreated.
   * @throws ApiError 409 if `observed` is outdated; NameTakenError
   */
  async apply<T extends KubeObject>(
    resource: Resource<T>,
    desired: T,
    observed: T | undefined,
  ): Promise<Applied<T>> {
    const compared = withoutFixed(resource, desired);
    const hash = hashOf(compared);
    if (observed && this.#isSettled(observed, compared, hash)) {
      return { object: observed, written: false };
    }
    if (observed) await this.#handOver(resource, desired, observed);
    const { metadata } = desired;
    const annotations = { ...metadata.annotations, [APPLIED_ANNOTATION]: hash };
    const marked = plain({ ...desired, metadata: { ...metadata, annotations } });
    const object = await this.#patch(resource, marked, observed).catch(async (error: unknown) => {
      if (!observed) await this.#refuseTaken(resource, desired, error);
      throw error;
    });
    const result = hashOf(project(object, compared));
    this.#remember(object, '', { hash, result, version: object.metadata.resourceVersion });
    const undone = observed?.metadata.annotations?.[APPLIED_ANNOTATION] === hash;
    return { object, written: true, ...(undone && { undone }) };
  }

  /**
   * Keeps the values of `resource.kept` fields that are no longer applied: another manager applies them once.
   * Without a manager the API server would reset them to their defaults.
   * @throws ApiError 409 if another client writes the object at the same moment
   */
  async #handOver<T extends KubeObject>(
    resource: Resource<T>,
    desired: T,
    observed: T,
  ): Promise<void> {
    const named = specOf(desired);
    const released = (resource.kept ?? []).filter((field) => named[field] === undefined);
    if (released.length === 0) return;
    const { namespace = '', name } = desired.metadata;
    const there = await this.#client.get(resource, namespace, name);
    if (!there || there.metadata.uid !== observed.metadata.uid) return;
    const owned = released.filter((field) => ownsField(there, managerOf(desired), field));
    if (owned.length === 0) return;
    const { uid, resourceVersion } = there.metadata;
    const spec = Object.fromEntries(owned.map((field) => [field, specOf(there)[field]]));
    const { apiVersion, kind } = resource;
    const body = { apiVersion, kind, metadata: { namespace, name, uid, resourceVersion }, spec };
    const query = { fieldManager: HAND_OVER_MANAGER, force: true };
    await this.#client.patch(resource, namespace, name, 'apply', body, { query });
  }

  /**
   * Replaces the part of the object's status that this operator owns.
   * @throws ApiError 409 if the object is gone, or if conflicts persist
   */
  async applyStatus<T extends KubeObject & { status?: unknown }>(
    resource: Resource<T>,
    observed: T,
    status: NonNullable<T['status']>,
  ): Promise<Applied<T>> {
    const wanted = plain(status);
    const hash = hashOf(wanted);
    const memory = this.#recall(observed, STATUS);
    const settled =
      memory?.hash === hash
        ? hashOf(project(observed.status, wanted)) === memory.result
        : isDeepStrictEqual(observed.status, wanted);
    if (settled) return { object: observed, written: false };
    const { namespace, name } = observed.metadata;
    const body = { metadata: { namespace, name }, status: wanted } as unknown as T;
    const object = await this.#patch(resource, body, observed, 'status');
    const result = hashOf(project(object.status, wanted));
    this.#remember(object, STATUS, { hash, result, version: object.metadata.resourceVersion });
    return { object, written: true };
  }

  /** Reports whether the object is unchanged since the last write by this process. */
  isOwn(object: KubeObject): boolean {
    const { resourceVersion } = object.metadata;
    return ['', STATUS].some((part) => this.#recall(object, part)?.version === resourceVersion);
  }

  /** Drops the entries of an object that is gone, and of the objects that it owned. */
  forget(object: KubeObject): void {
    const { uid = '' } = object.metadata;
    const ofOwner = this.#memory.get(ownerOf(object));
    ofOwner?.delete(uid);
    ofOwner?.delete(uid + STATUS);
    if (ofOwner?.size === 0) this.#memory.delete(ownerOf(object));
    this.#memory.delete(uid);
  }

  #recall(object: KubeObject, part: string): Memory | undefined {
    return this.#memory.get(ownerOf(object))?.get((object.metadata.uid ?? '') + part);
  }

  #remember(object: KubeObject, part: string, memory: Memory): void {
    const owner = ownerOf(object);
    const ofOwner = this.#memory.get(owner) ?? new Map<string, Memory>();
    this.#memory.set(owner, ofOwner.set((object.metadata.uid ?? '') + part, memory));
  }

  #isSettled(observed: KubeObject, wanted: KubeObject, hash: string): boolean {
    const { annotations, resourceVersion } = observed.metadata;
    if (annotations?.[APPLIED_ANNOTATION] !== hash) return false;
    const memory = this.#recall(observed, '');
    if (memory?.hash !== hash) return isWithin(observed, wanted);
    return (
      memory.version === resourceVersion || hashOf(project(observed, wanted)) === memory.result
    );
  }

  /**
   * Checks an `error` for a name conflict.
   * @throws NameTakenError if `error` results from an object of another owner
   */
  async #refuseTaken(resource: Resource, desired: KubeObject, error: unknown): Promise<void> {
    if (!(error instanceof ApiError) || error.status !== 422) return;
    const { namespace = '', name } = desired.metadata;
    const there = await this.#client.get(resource, namespace, name);
    const owner = there && controllerOf(there);
    if (there && owner?.uid !== controllerOf(desired)?.uid) {
      throw new NameTakenError(resource.kind, name, owner);
    }
  }

  async #patch<T extends KubeObject>(
    { apiVersion, kind, ...resource }: Resource<T>,
    object: T,
    observed: T | undefined,
    subresource?: string,
  ): Promise<T> {
    const { namespace = '', name } = object.metadata;
    // With a uid the API server refuses to recreate the object, or to write to a later one of its name.
    const uid = observed?.metadata.uid;
    const metadata = uid === undefined ? object.metadata : { ...object.metadata, uid };
    const body = { ...object, apiVersion, kind, metadata };
    const query = { fieldManager: managerOf(object), force: true };
    for (let attempt = 1; ; attempt++) {
      try {
        const where = { ...resource, apiVersion, kind };
        return await this.#client.patch(where, namespace, name, 'apply', body, {
          subresource,
          query,
        });
      } catch (error) {
        // Force resolves conflicts over fields; the remaining conflicts are concurrent writes.
        if (!isConflict(error) || attempt === ATTEMPTS) throw error;
        await wait(10 * 2 ** attempt);
      }
    }
  }
}

/**
 * Returns the field manager, one for each owner. With a shared one, an apply for the second owner would drop
 * the first from the owner references. The API server therefore refuses, as only one controller is allowed.
 */
const managerOf = (object: KubeObject): string =>
  [FIELD_MANAGER, controllerOf(object)?.uid].filter((part) => part !== undefined).join('-');

/** Suffix of an object's uid in keys for its status. */
const STATUS = '/status';

/** Returns the uid of the object's controller, or its own. */
const ownerOf = (object: KubeObject): string =>
  controllerOf(object)?.uid ?? object.metadata.uid ?? '';

const specOf = (object: KubeObject): Record<string, unknown> =>
  (object as { spec?: Record<string, unknown> }).spec ?? {};

function ownsField({ metadata }: KubeObject, manager: string, field: string): boolean {
  const { managedFields = [] } = metadata as { managedFields?: ManagedFields[] };
  return managedFields.some(
    (each) =>
      each.manager === manager &&
      each.operation === 'Apply' &&
      each.fieldsV1?.['f:spec']?.[`f:${field}`] !== undefined,
  );
}

/**
 * Returns `value` as it is after JSON, without undefined fields, so that it compares equal to received
 * objects.
 */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const hashOf = (value: unknown): string => hash(canonicalJson(value) ?? '', 16);

/**
 * Returns the object without immutable fields: a Job keeps the template that it was created with, an immutable
 * ConfigMap its data.
 */
function withoutFixed<T extends KubeObject>(
  { metadataOnly, fixed = [] }: Resource<T>,
  object: T,
): T {
  if (metadataOnly) {
    const { apiVersion, kind, metadata } = object;
    return { apiVersion, kind, metadata } as T;
  }
  const { spec } = object as { spec?: object };
  if (spec === undefined || fixed.length === 0) return object;
  const changing = Object.entries(spec).filter(([field]) => !fixed.includes(field));
  return { ...object, spec: Object.fromEntries(changing) };
}

/** Reports whether `value` agrees with `wanted` in all fields that `wanted` sets. */
function isWithin(value: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(value) &&
      value.length === wanted.length &&
      wanted.every((item, i) => isWithin(value[i], item))
    );
  }
  if (!isRecord(wanted)) return value === wanted;
  return Object.entries(wanted).every(
    // JSON omits undefined fields.
    ([key, part]) => part === undefined || (isRecord(value) && isWithin(value[key], part)),
  );
}

/** Returns the part of `value` that `shape` sets; lists of another length are returned whole. */
function project(value: unknown, shape: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(shape) && value.length === shape.length) {
    return value.map((item, i) => project(item, shape[i]));
  }
  if (!isRecord(value) || !isRecord(shape)) return value;
  return Object.fromEntries(
    Object.keys(shape)
      .filter((key) => key in value)
      .map((key) => [key, project(value[key], shape[key])]),
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
