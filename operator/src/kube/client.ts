import { type Dispatcher, request } from 'undici';
import type { Access } from './access.ts';
import { timeoutSignal } from './clock.ts';
import { type KubeObject, pathOf, type Resource } from './resource.ts';

/** The API server answered with an error status. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status, for example 409. */
  readonly status: number;
  /** Reason given by the API server, for example `Conflict` or `AlreadyExists`; empty if there is none. */
  readonly reason: string;
  /** Message of the API server, or the beginning of another server's response. */
  readonly said: string;
  /** Seconds after which the server asked to retry. */
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

/** The server did not answer, or the response was incomplete or invalid JSON. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

export const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 409;

/**
 * Reports whether the object exists already. Other conflicts of a creation exist, for example a concurrently
 * used quota.
 */
export const isAlreadyThere = (error: unknown): boolean =>
  error instanceof ApiError && error.reason === 'AlreadyExists';

export const isGone = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404;

/** Data about a request for `observe`; code 0 means no response. */
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
  /** Media type of the response. Default: application/json. */
  accept?: string;
}

/** Maximum characters of a line of a watch. The largest object that etcd stores has 1.5 MiB. */
const LINE_MAX = 16_777_216;

export interface ObjectList<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[];
}

/** Media type of a response that holds only the object's metadata. */
export const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';

export type PatchType = 'apply' | 'merge' | 'json';

const PATCH_TYPES: Record<PatchType, string> = {
  apply: 'application/apply-patch+yaml',
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
};

/**
 * Exchanges JSON with the API server over a few kept connections. The library's typed API classes are not
 * used: they convert some times to dates, drop unknown fields, and take 75 MB of memory.
 */
export class Client {
  readonly #access: Access;
  readonly #observe: (request: SeenRequest) => void;

  constructor(access: Access, observe: (request: SeenRequest) => void = () => {}) {
    this.#access = access;
    this.#observe = observe;
  }

  /** Returns the object, or undefined if it does not exist. */
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

  /** Returns one page of a list. Without `namespace`, the list covers all namespaces. */
  list<T extends KubeObject>(
    resource: Resource<T>,
    namespace?: string,
    options: CallOptions = {},
  ): Promise<ObjectList<T>> {
    return this.call('GET', pathOf(resource, namespace), { timeoutSeconds: 60, ...options });
  }

  /** Creates an object. @throws ApiError 409 (reason AlreadyExists) if one of its name exists. */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CallOptions = {},
  ): Promise<T> {
    const path = pathOf(resource, object.metadata.namespace);
    return this.call('POST', path, { ...options, body: { ...named(resource), ...object } });
  }

  /** Replaces the whole object. @throws ApiError 409 if its resourceVersion is not the newest. */
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
   * Deletes the object after its dependents: a Job's name is free only when its last pod has ended. Does
   * nothing if it is gone or its uid is not `uid`.
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

  /** Sends one request and returns its whole response. @throws ApiError, UnreachableError */
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
   * Yields the lines of a response as they arrive. Ends when the server ends it.
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

  /** Closes every connection, including those in use. */
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

/**
 * Parses a `Status` object. The result is empty if the body is something else, for example a proxy's page.
 */
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
