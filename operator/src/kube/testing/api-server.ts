import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Access } from '../access.ts';
import { accessOf, type KubeConfigFile } from '../kube-config.ts';
import type { KubeObject } from '../resource.ts';
import { makeCertificate } from './certificate.ts';
import { type Fault, misbehave, send, status } from './faults.ts';

/**
 * A server for the subset of the Kubernetes API that the executors use (list with pages, watch with bookmarks,
 * get, create, replace, patch, delete; resource versions and conflicts), with injectable faults.
 */

export interface Seen {
  method: string;
  path: string;
  query: URLSearchParams;
  contentType: string | undefined;
  accept: string | undefined;
  body: unknown;
}

type Stored = KubeObject & Record<string, unknown>;

interface Watcher {
  path: string;
  response: ServerResponse;
}

export class TestApiServer {
  readonly seen: Seen[] = [];
  /** Distinct `Authorization` headers received. */
  readonly tokens: string[] = [];
  connections = 0;
  /** Value of `items` in an empty list; the real server writes `null` for lists of metadata. */
  emptyItems: [] | null | undefined = [];
  /** Changes an object before the server stores it. */
  rewrite: (object: Stored) => Stored = (object) => object;
  readonly #faults: { matches: (seen: Seen) => boolean; fault: Fault; left: number }[] = [];
  readonly #objects = new Map<string, Stored>();
  readonly #watchers = new Set<Watcher>();
  #log: { version: number; path: string; line: string }[] = [];
  #version = 100;
  #compacted = 0;
  readonly #server: Server;
  readonly #scheme: string;
  readonly #ca: Buffer | undefined;

  private constructor(tls?: { key: Buffer; cert: Buffer }) {
    const answer = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    this.#server = tls
      ? (createHttpsServer(tls, answer) as unknown as Server)
      : createHttpServer(answer);
    this.#server.on(tls ? 'secureConnection' : 'connection', () => this.connections++);
    this.#scheme = tls ? 'https' : 'http';
    this.#ca = tls?.cert;
  }

  static async open({ tls = false } = {}): Promise<TestApiServer> {
    const server = new TestApiServer(tls ? makeCertificate() : undefined);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Returns a kubeconfig for this server. */
  get kubeConfig(): KubeConfigFile {
    const cluster = {
      server: `${this.#scheme}://127.0.0.1:${this.port}`,
      ...(this.#ca
        ? { 'certificate-authority-data': this.#ca.toString('base64') }
        : { 'insecure-skip-tls-verify': true }),
    };
    return {
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token: 'secret' } }],
    };
  }

  get access(): Access {
    return accessOf(this.kubeConfig);
  }

  /** Makes the next `times` matching requests fail. */
  fail(fault: Fault, matches: (seen: Seen) => boolean = () => true, times = 1): void {
    this.#faults.push({ matches, fault, left: times });
  }

  /** Ends every watch, cleanly or by cutting the connection. */
  endWatches(how: 'end' | 'cut'): void {
    for (const { response } of this.#watchers) {
      if (how === 'end') response.end();
      else response.destroy();
    }
    this.#watchers.clear();
  }

  get watches(): number {
    return this.#watchers.size;
  }

  /** Keeps watches open but sends no more events, like a connection whose peer is gone. */
  muteWatches(): void {
    this.#watchers.clear();
  }

  /** Forgets all versions so far: watches that start at one get 410. */
  compact(): void {
    this.#compacted = ++this.#version;
    this.#log = [];
  }

  /** Sends raw bytes to every watch. */
  sendToWatches(bytes: string | Uint8Array): void {
    for (const { response } of this.#watchers) response.write(bytes);
  }

  bookmark(): void {
    const object = { metadata: { resourceVersion: String(++this.#version) } };
    this.sendToWatches(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  /** Creates or replaces an object, like another client. `path` is the path of the list. */
  put(path: string, object: KubeObject & Record<string, unknown>): Stored {
    const key = `${path}/${object.metadata.name}`;
    const old = this.#objects.get(key);
    return this.#store(path, old ? 'MODIFIED' : 'ADDED', {
      ...object,
      metadata: { ...object.metadata, uid: old?.metadata.uid ?? `uid-${this.#version}` },
    });
  }

  remove(path: string, name: string): void {
    const object = this.#objects.get(`${path}/${name}`);
    if (object) this.#store(path, 'DELETED', object);
  }

  read(path: string, name: string): Stored | undefined {
    return this.#objects.get(`${path}/${name}`);
  }

  /** Returns all objects of a list. */
  all(path: string): Stored[] {
    return [...this.#objects].filter(([key]) => isIn(key, path)).map(([, object]) => object);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #store(path: string, type: string, object: Stored): Stored {
    const version = ++this.#version;
    const metadata = { ...object.metadata, resourceVersion: String(version) };
    const stored = this.rewrite({ ...object, metadata });
    const key = `${path}/${metadata.name}`;
    if (type === 'DELETED') this.#objects.delete(key);
    else this.#objects.set(key, stored);
    const line = `${JSON.stringify({ type, object: stored })}\n`;
    this.#log.push({ version, path, line });
    for (const watcher of this.#watchers) if (watcher.path === path) watcher.response.write(line);
    return stored;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://test');
    const token = request.headers.authorization ?? '';
    if (!this.tokens.includes(token)) this.tokens.push(token);
    const body = await text(request);
    const seen: Seen = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      contentType: request.headers['content-type'],
      accept: request.headers.accept,
      body: body === '' ? undefined : JSON.parse(body),
    };
    this.seen.push(seen);
    const planned = this.#faults.find((each) => each.left > 0 && each.matches(seen));
    if (planned) {
      planned.left--;
      misbehave(planned.fault, response);
    } else if (seen.query.get('watch') === 'true') this.#watch(seen, response);
    else this.#reply(seen, response);
  }

  #watch({ path, query }: Seen, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    if (from < this.#compacted) {
      send(response, 410, status(410, 'Expired'));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const entry of this.#log) {
      if (entry.path === path && entry.version > from) response.write(entry.line);
    }
    const watcher = { path, response };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
  }

  #reply(seen: Seen, response: ServerResponse): void {
    const { method, path, query, body } = seen;
    if (method === 'POST') {
      const object = body as Stored;
      const isThere = this.#objects.has(`${path}/${object.metadata.name}`);
      if (isThere) send(response, 409, status(409, 'AlreadyExists'));
      else send(response, 201, this.put(path, object));
      return;
    }
    if (method === 'GET' && !this.#objects.has(path) && isListPath(path)) {
      this.#page(this.all(path), query, response);
      return;
    }
    const key = path.replace(/\/status$/, '');
    const parent = key.slice(0, key.lastIndexOf('/'));
    const object = this.#objects.get(key);
    if (method === 'PATCH' && query.has('fieldManager')) {
      this.#apply(object, body as Stored, parent, response);
    } else if (!object) send(response, 404, status(404, 'NotFound'));
    else if (method === 'GET') send(response, 200, object);
    else if (method === 'DELETE') {
      const { uid } =
        (body as { preconditions?: { uid?: string } } | undefined)?.preconditions ?? {};
      if (uid !== undefined && uid !== object.metadata.uid) {
        send(response, 409, status(409, 'Conflict'));
        return;
      }
      this.#store(parent, 'DELETED', object);
      send(response, 200, status(200, ''));
    } else if (method === 'PUT') {
      const isStale = (body as Stored).metadata.resourceVersion !== object.metadata.resourceVersion;
      if (isStale) send(response, 409, status(409, 'Conflict'));
      else send(response, 200, this.#store(parent, 'MODIFIED', body as Stored));
    } else send(response, 200, this.#store(parent, 'MODIFIED', merge(object, body) as Stored));
  }

  #apply(object: Stored | undefined, body: Stored, parent: string, response: ServerResponse): void {
    if (body.metadata.uid !== undefined && body.metadata.uid !== object?.metadata.uid) {
      send(response, 409, status(409, 'Conflict'));
      return;
    }
    send(response, object ? 200 : 201, this.put(parent, merge(object, body) as Stored));
  }

  #page(items: Stored[], query: URLSearchParams, response: ServerResponse): void {
    const start = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? items.length);
    const next = start + limit < items.length ? { continue: String(start + limit) } : {};
    const metadata = { resourceVersion: String(this.#version), ...next };
    send(response, 200, {
      kind: 'List',
      metadata,
      items: items.length === 0 ? this.emptyItems : items.slice(start, start + limit),
    });
  }
}

const isIn = (key: string, path: string): boolean => key.slice(0, key.lastIndexOf('/')) === path;

/**
 * Reports whether a path is a list: `…/namespaces/NAMESPACE/PLURAL` or `/api/VERSION/PLURAL`, without an
 * object name.
 */
const isListPath = (path: string): boolean => {
  const parts = path.split('/').slice(path.startsWith('/api/') ? 3 : 4);
  return parts.length === 1 || parts.length === 3;
};

/** Merges deeply: objects by key, all other values are replaced. */
function merge(before: unknown, patch: unknown): unknown {
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isRecord(before) || !isRecord(patch)) return patch;
  const merged = { ...before };
  for (const [key, value] of Object.entries(patch)) merged[key] = merge(before[key], value);
  return merged;
}
