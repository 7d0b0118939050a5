import type { Logger } from 'pino';
import { ApiError, type Client, type ObjectList, type Query, UnreachableError } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { type KubeObject, keyOf, pathOf, type Resource } from './resource.ts';
import { share } from './structural-sharing.ts';

export type Change = 'added' | 'modified' | 'deleted';

/**
 * For `deleted`, the object is the last one observed. A handler may throw: the error is logged, and the object
 * stays.
 */
export type Handler<T> = (change: Change, object: T, before: T | undefined) => void;

export interface InformerOptions {
  /** Namespace to mirror. Default: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** True to request only the metadata of objects. */
  metadataOnly?: boolean;
  /**
   * Returns the part of an object to keep; it may modify the object. Undefined excludes the object from the
   * mirror. Default: keeps all.
   */
  keep?: (object: KubeObject) => KubeObject | undefined;
  log?: Logger;
  /** Growth of the delay after consecutive failures. */
  backoff?: { firstMs: number; maxMs: number };
  /**
   * Seconds without a byte after which a watch counts as dead. The API server sends a bookmark about once a
   * minute.
   */
  idleSeconds?: number;
  /** Minimum seconds after which the API server is asked to end a watch; the maximum is twice that. */
  watchSeconds?: number;
  /** Seconds after which a list is read again when its watch ends, in case the watch lost an event. */
  relistSeconds?: number;
  pageSize?: number;
  clock?: Clock;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Returns a random number between 0 and 1. */
  random?: () => number;
}

/** The API server no longer knows the version at which a watch or a page of a list should continue. */
class GoneError extends Error {
  override readonly name = 'GoneError';
}

interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: T;
}

/**
 * Mirrors the objects of a kind: lists them, then watches without end. After the end of a watch (a dropped or
 * silent connection, an error response, invalid JSON), it resumes, or lists again and calls handlers only for
 * differences.
 */
export class Informer<T extends KubeObject> {
  readonly #client: Client;
  readonly #resource: Resource<T>;
  readonly #options: Required<
    Omit<InformerOptions, 'namespace' | 'labelSelector' | 'log' | 'keep'>
  > &
    InformerOptions;
  readonly #handlers = new Set<Handler<T>>();
  readonly #synced = Promise.withResolvers<void>();
  #objects = new Map<string, T>();
  /** The last object received; the next one of its kind is mostly equal. */
  #last: T | undefined;
  /** resourceVersion at which the next watch starts; empty: list first. */
  #version = '';
  #listedAt = 0;
  #isSynced = false;
  #lists = 0;
  #watches = 0;

  constructor(client: Client, resource: Resource<T>, options: InformerOptions = {}) {
    this.#client = client;
    this.#resource = resource;
    this.#options = {
      backoff: { firstMs: 500, maxMs: 30_000 },
      idleSeconds: 75,
      watchSeconds: 300,
      relistSeconds: 600,
      pageSize: 100,
      clock: systemClock,
      wait: pause,
      random: Math.random,
      fieldSelector: '',
      metadataOnly: false,
      ...options,
    };
  }

  /** Reports whether the first list is complete. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** Number of lists and watches started so far. */
  get requests(): { lists: number; watches: number } {
    return { lists: this.#lists, watches: this.#watches };
  }

  /** Resolves when the first list is complete. */
  whenSynced(): Promise<void> {
    return this.#synced.promise;
  }

  /** @param key `NAMESPACE/NAME` */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  /** Calls `handler` with every later change, and at once with `added` for each existing object. */
  onChange(handler: Handler<T>): () => void {
    this.#handlers.add(handler);
    for (const object of this.list()) this.#call(handler, 'added', object, undefined);
    return () => this.#handlers.delete(handler);
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { backoff, clock, wait, random, log } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const start = clock.now();
      let progressed = false;
      let askedToWait = 0;
      try {
        if (this.#needsList()) await this.#list(signal);
        for await (const event of this.#watch(signal)) progressed = this.#take(event) || progressed;
      } catch (error) {
        if (signal.aborted) return;
        if (isTooOld(error)) this.#version = '';
        if (error instanceof ApiError) askedToWait = (error.retryAfter ?? 0) * 1000;
        log?.warn({ kind: this.#resource.kind, err: error }, 'watch broken; going on');
      }
      // A watch that delivered an event, or stayed open for long, succeeded; one that ends at once failed.
      const worked = progressed || clock.now() - start > backoff.maxMs;
      failures = worked ? 0 : failures + 1;
      const delay = Math.min(backoff.firstMs * 2 ** Math.max(failures - 1, 0), backoff.maxMs);
      await wait(Math.max(delay * (0.5 + random()), askedToWait), signal);
    }
  }

  #needsList(): boolean {
    const { clock, relistSeconds } = this.#options;
    return this.#version === '' || clock.now() - this.#listedAt > relistSeconds * 1000;
  }

  #query(query: Query): Query {
    const { labelSelector, fieldSelector } = this.#options;
    return { labelSelector, fieldSelector: fieldSelector || undefined, ...query };
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { namespace, clock, pageSize } = this.#options;
    this.#lists++;
    const now = new Map<string, T>();
    let page: ObjectList<T>;
    let token: string | undefined;
    do {
      // Without a resourceVersion, a list is never older than earlier results, even from another API server.
      const query = this.#query({ limit: pageSize, continue: token });
      const accept = this.#accept('PartialObjectMetadataList');
      page = await this.#client.list(this.#resource, namespace, { query, signal, accept });
      for (const item of itemsOf(page)) {
        const kept = this.#kept(item);
        if (kept) now.set(keyOf(kept), kept);
      }
      token = page.metadata.continue || undefined;
    } while (token !== undefined);
    const before = this.#objects;
    this.#objects = now;
    this.#version = page.metadata.resourceVersion;
    this.#listedAt = clock.now();
    for (const [key, object] of before) if (!now.has(key)) this.#tell('deleted', object, object);
    for (const [key, object] of now) this.#compare(object, before.get(key));
    this.#isSynced = true;
    this.#synced.resolve();
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
    const { namespace, watchSeconds, idleSeconds, random } = this.#options;
    this.#watches++;
    const query = this.#query({
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: this.#version,
      timeoutSeconds: Math.ceil(watchSeconds * (1 + random())),
    });
    const path = pathOf(this.#resource, namespace);
    const accept = this.#accept('PartialObjectMetadata');
    for await (const line of this.#client.lines(path, { query, idleSeconds, signal, accept })) {
      if (line.trim() !== '') yield parseEvent<T>(line);
    }
  }

  /** Applies an event. Returns whether it advanced the mirror. */
  #take({ type, object }: WatchEvent<T>): boolean {
    const version = object.metadata.resourceVersion;
    if (type !== 'BOOKMARK') {
      const key = keyOf(object);
      const before = this.#objects.get(key);
      const next = this.#kept(object);
      if (type === 'DELETED' || next === undefined) {
        this.#objects.delete(key);
        if (before) this.#tell('deleted', next ?? before, before);
      } else {
        this.#objects.set(key, next);
        this.#compare(next, before);
      }
    }
    if (version !== undefined) this.#version = version;
    return true;
  }

  #compare(object: T, before: T | undefined): void {
    const { uid, resourceVersion } = object.metadata;
    if (before && before.metadata.uid !== uid) {
      // The object was deleted and recreated while no watch was open.
      this.#tell('deleted', before, before);
      this.#tell('added', object, undefined);
    } else if (!before) {
      this.#tell('added', object, undefined);
    } else if (before.metadata.resourceVersion !== resourceVersion) {
      this.#tell('modified', object, before);
    }
  }

  #tell(change: Change, object: T, before: T | undefined): void {
    for (const handler of this.#handlers) this.#call(handler, change, object, before);
  }

  #call(handler: Handler<T>, change: Change, object: T, before: T | undefined): void {
    try {
      handler(change, object, before);
    } catch (error) {
      const about = { kind: this.#resource.kind, key: keyOf(object), change, err: error };
      this.#options.log?.error(about, 'a handler failed');
    }
  }

  #accept(as: string): string | undefined {
    return this.#options.metadataOnly ? `application/json;as=${as};g=meta.k8s.io;v=v1` : undefined;
  }

  /**
   * Returns the part of an object to keep. Items of a list lack kind and version. Unused fields are as large
   * as the rest.
   */
  #kept(object: T): T | undefined {
    const { apiVersion, kind } = this.#resource;
    const { managedFields: _, ...metadata } = object.metadata as KubeObject['metadata'] & {
      managedFields?: unknown;
    };
    const { [LAST_APPLIED]: __, ...annotations } = metadata.annotations ?? {};
    const trimmed = {
      ...object,
      apiVersion,
      kind,
      metadata: { ...metadata, ...(metadata.annotations && { annotations }) },
    };
    const { keep = (all) => all } = this.#options;
    const kept = keep(trimmed) as T | undefined;
    if (kept === undefined) return undefined;
    const before = this.#objects.get(keyOf(object));
    this.#last = share(kept, before ?? this.#last);
    return this.#last;
  }
}

/** Annotation in which kubectl apply stores a copy of the whole object. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

const isTooOld = (error: unknown): boolean =>
  error instanceof GoneError || (error instanceof ApiError && error.status === 410);

/**
 * Returns the objects of a page. The API server writes `null` for some empty lists.
 * @throws UnreachableError for a response that is not a list: as an empty list, it would delete every object
 * here
 */
function itemsOf<T>({ items }: { items?: T[] | null }): T[] {
  if (items === undefined) throw new UnreachableError('a list has no items');
  return items ?? [];
}

/**
 * Parses a line of a watch.
 * @throws GoneError, ApiError for an ERROR event; UnreachableError for a malformed line
 */
function parseEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  let event: Partial<WatchEvent<T>> | null;
  try {
    event = JSON.parse(line) as Partial<WatchEvent<T>> | null;
  } catch (cause) {
    throw new UnreachableError(`a watch sent what is no JSON: ${line.slice(0, 200)}`, { cause });
  }
  if (event?.type === 'ERROR') {
    const { code = 500, message } = (event.object ?? {}) as { code?: number; message?: string };
    if (code === 410) throw new GoneError(`the watch is too old: ${message}`);
    throw new ApiError('watch', code, JSON.stringify(event.object));
  }
  if (event?.type === undefined || event.object?.metadata === undefined) {
    throw new UnreachableError(`a watch sent what is no event: ${line.slice(0, 200)}`);
  }
  return event as WatchEvent<T>;
}
