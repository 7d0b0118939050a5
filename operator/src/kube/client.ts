import { type Dispatcher, request } from 'undici';
import type { Access } from './access.ts';
import { timeoutSignal } from './clock.ts';
import { type KubeObject, pathOf, type Resource } from './resource.ts';

/** The API server answered, and not with success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status, as 409. */
  readonly status: number;
  /** The API server's own word, as `Conflict` or `AlreadyExists`; empty if it gave none. */
  readonly reason: string;
  /** What it said in words, or the beginning of another's answer. */
  readonly said: string;
  /** Seconds that the server asked to wait. */
  readonly retryAfter: number | undefined;

  constructor(what: string, status: number, body: string, retryAfter?: number) {
    const { reason = '', message = body.slice(0, 500) } = statusOf(body);
    super(`${what}: ${status} ${reason} ${message}`);
    this.status = status;
    this.reason = reason;
    this.said = message;
    this.retryAfter = retryAfter;
  }
}

/** No answer, or one that ended too early or is not JSON. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

export const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409;

/** Not every conflict of a creation is one: a quota that others use at the same moment is, too. */
export const isAlreadyThere = (error: unknown): boolean =>
  error instanceof ApiError && error.reason === 'AlreadyExists';

export const isGone = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404;

/** What `observe` learns of each request; code 0: no answer. */
export interface SeenRequest {
  method: string;
  path: string;
  code: number;
}

export type Query = Record<string, string | number | boolean | undefined>;

export interface CallOptions {
  query?: Query;
  body?: unknown;
  contentType?: string;
  signal?: AbortSignal;
  timeoutSeconds?: number;
  /** Media type of the answer. Default: application/json. */
  accept?: string;
}

/** Maximum characters of a line of a watch. The largest object that etcd takes has 1.5 MiB. */
const LINE_MAX = 16_777_216;

export interface ObjectList<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[];
}

/** The answer holds the object's metadata alone. */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

export type PatchType = 'apply' | 'merge' | 'json';

const PATCH_TYPES: Record<PatchType, string> = {
  apply: 'application/apply-patch+yaml',
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
};

/**
 * Speaks JSON with the API server over few, kept connections. The library's typed API classes are not used: they
 * make dates of some times, lose what they do not know, and take 75 MB of memory.
 */
export class Client {
  readonly #access: Access;
  readonly #observe: (request: SeenRequest) => void;

  constructor(access: Access, observe: (request: SeenRequest) => void = () => {}) {
    this.#access = access;
    this.#observe = observe;
  }

  /** The object, or undefined if there is none. */
  async get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return await this.call<T>('GET', pathOf(resource, namespace, name), options);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** One page of a list; without namespace: of all namespaces. */
  list<T extends KubeObject>(
    resource: Resource<T>,
    namespace?: string,
    options: CallOptions = {},
  ): Promise<ObjectList<T>> {
    return this.call('GET', pathOf(resource, namespace), { timeoutSeconds: 60, ...options });
  }

  /** @throws ApiError 409 (reason AlreadyExists) if there is one of its name. */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions = {},
  ): Promise<T> {
    const path = pathOf(resource, object.metadata.namespace);
    return this.call('POST', path, { ...options, body: { ...named(resource), ...object } });
  }

  /** Writes the whole object. @throws ApiError 409 if its resourceVersion is not the newest. */
  replace<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions = {},
  ): Promise<T> {
    const { namespace, name } = object.metadata;
    const body = { ...named(resource), ...object };
    return this.call('PUT', pathOf(resource, namespace, name), { ...options, body });
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    type: PatchType,
    body: unknown,
    { subresource, query, accept }: { subresource?: string; query?: Query; accept?: string } = {},
  ): Promise<T> {
    const path = pathOf(resource, namespace, name, subresource);
    return this.call('PATCH', path, { body, query, accept, contentType: PATCH_TYPES[type] });
  }

  /**
   * Deletes it after what it owns: a Job's name is free only when its last pod has ended. Nothing happens
   * if it is gone or not of `uid`.
   */
  async delete(resource: Resource, namespace: string, name: string, uid?: string): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Foreground',
      ...(uid !== undefined && { preconditions: { uid } }),
    };
    try {
      await this.call('DELETE', pathOf(resource, namespace, name), { body });
    } catch (error) {
      if (!isGone(error) && !isConflict(error)) throw error;
    }
  }

  /**
   * One request and its whole answer.
   * @throws ApiError, UnreachableError
   */
  async call<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const { signal, timeoutSeconds = 30 } = options;
    const timeout = timeoutSignal(timeoutSeconds);
    const { body } = await this.#send(method, path, {
      ...options,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      idleSeconds: timeoutSeconds,
    });
    try {
      return JSON.parse(await body.text()) as T;
    } catch (cause) {
      throw new UnreachableError(`${method} ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  /**
   * The lines of an answer as they come. Ends as the server ends it.
   * @throws ApiError; UnreachableError, also after `idleSeconds` without a byte
   */
  async *lines(
    path: string,
    options: { query: Query; idleSeconds: number; signal: AbortSignal; accept?: string },
  ): AsyncGenerator<string> {
    const { body } = await this.#send('GET', path, options);
    let rest = '';
    try {
      body.setEncoding('utf8');
      for await (const chunk of body) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > LINE_MAX) throw new Error(`a line of more than ${LINE_MAX} characters`);
        yield* lines;
      }
    } catch (cause) {
      throw new UnreachableError(`GET ${path}: ${(cause as Error).message}`, { cause });
    } finally {
      body.destroy();
    }
  }

  /** Ends every connection, also those in use. */
  async close(): Promise<void> {
    await this.#access.close();
  }

  async #send(
    method: string,
    path: string,
    {
      query,
      body,
      contentType,
      signal,
      idleSeconds,
      accept,
    }: CallOptions & { idleSeconds: number },
  ): Promise<Dispatcher.ResponseData> {
    const what = `${method} ${path}`;
    const url = new URL(`${this.#access.server}${path}`);
    for (const [key, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    let code = 0;
    try {
      const { headers, dispatcher } = await this.#access.open();
      const response = await request(url, {
        method: method as Dispatcher.HttpMethod,
        headers: {
          ...headers,
          accept: accept ?? 'application/json',
          'user-agent': 'greedy-infomax',
          ...(body !== undefined && { 'content-type': contentType ?? 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        dispatcher,
        signal,
        headersTimeout: Math.min(idleSeconds, 30) * 1000,
        bodyTimeout: idleSeconds * 1000,
      });
      code = response.statusCode;
      if (code >= 200 && code < 300) return response;
      const retryAfter = Number(response.headers['retry-after']) || undefined;
      throw new ApiError(what, code, await response.body.text(), retryAfter);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw new UnreachableError(`${what}: ${(error as Error).message}`, { cause: error });
    } finally {
      this.#observe({ method, path, code });
    }
  }
}

const named = ({ apiVersion, kind }: Resource): { apiVersion: string; kind: string } => ({
  apiVersion,
  kind,
});

/** What a `Status` object says; nothing if the body is something else, as a proxy's page. */
function statusOf(body: string): { reason?: string; message?: string } {
  try {
    const { reason, message } = JSON.parse(body) as Record<string, unknown>;
    return {
      ...(typeof reason === 'string' && { reason }),
      ...(typeof message === 'string' && { message }),
    };
  } catch {
    return {};
  }
}
