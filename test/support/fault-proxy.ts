import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request as send } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type Fault, misbehave } from '../../operator/src/kube/testing/faults.ts';
import type { Cluster } from './cluster.ts';

/** A proxy between a client and the API server that injects faults into requests and watches. */

export interface Proxied {
  method: string;
  /** Path without the query. */
  path: string;
  query: URLSearchParams;
  isWatch: boolean;
  /** True if the request writes anything other than a leader's lease. */
  isWrite: boolean;
}

/**
 * `loseAnswer`: the API server processes the request, but the client never receives the response.
 */
export type ProxyFault = Fault | 'loseAnswer';

export interface FaultProxy {
  /** The given kubeconfig, with the proxy's address. */
  kubeconfig: string;
  /** Number of forwarded requests. */
  readonly passed: readonly Proxied[];
  /** Fault to inject in place of forwarding a request; undefined: none. Set by tests. */
  fault: (request: Proxied) => ProxyFault | undefined;
  /** Number of open watches. */
  readonly watches: number;
  /** Closes all open watches, even in the middle of an event. */
  dropWatches(): void;
  /** Drops all further bytes of the open watches, and keeps their connections. */
  muteWatches(): void;
  close(): Promise<void>;
}

/** Starts a proxy to the API server of a test cluster, with that server's certificate. */
export async function startFaultProxy({ kubeconfig, folder }: Cluster): Promise<FaultProxy> {
  const config = JSON.parse(readFileSync(kubeconfig, 'utf8'));
  const { cluster } = config.clusters[0];
  const target = new URL(cluster.server);
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64');
  const agent = new Agent({ keepAlive: true, ca });
  const open = new Map<ServerResponse, { upstream: IncomingMessage; muted: boolean }>();
  const passed: Proxied[] = [];
  const certificate = {
    cert: readFileSync(`${folder}/apiserver.crt`),
    key: readFileSync(`${folder}/apiserver.key`),
  };

  const server = createServer(certificate, (request, response) => {
    const seen = describe(request);
    const fault = proxy.fault(seen);
    if (fault !== undefined && fault !== 'loseAnswer') {
      request.resume();
      misbehave(fault, response);
      return;
    }
    passed.push(seen);
    const { method, url, headers } = request;
    const upstream = send(
      { agent, host: target.hostname, port: target.port, method, path: url, headers },
      (answer) => {
        if (fault === 'loseAnswer') {
          answer.resume();
          answer.once('end', () => response.destroy());
        } else pass(answer, response, seen.isWatch);
      },
    );
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  });

  function pass(answer: IncomingMessage, response: ServerResponse, isWatch: boolean): void {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    const stream = { upstream: answer, muted: false };
    if (isWatch) {
      open.set(response, stream);
      response.on('close', () => open.delete(response));
    }
    answer.on('data', (bytes: Buffer) => {
      if (!stream.muted) response.write(bytes);
    });
    answer.on('end', () => {
      if (!stream.muted) response.end();
    });
    answer.on('error', () => response.destroy());
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const own = `${folder}/proxy-${port}.kubeconfig`;
  cluster.server = `https://127.0.0.1:${port}`;
  writeFileSync(own, JSON.stringify(config), { mode: 0o600 });

  const proxy: FaultProxy = {
    kubeconfig: own,
    passed,
    fault: () => undefined,
    get watches() {
      return open.size;
    },
    dropWatches() {
      for (const response of open.keys()) response.destroy();
    },
    muteWatches() {
      for (const stream of open.values()) stream.muted = true;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, 'close');
    },
  };
  return proxy;
}

function describe({ method = 'GET', url = '/' }: IncomingMessage): Proxied {
  const { pathname: path, searchParams: query } = new URL(url, 'http://proxy');
  const isWrite = method !== 'GET' && !path.includes('/leases');
  return { method, path, query, isWatch: query.get('watch') === 'true', isWrite };
}
