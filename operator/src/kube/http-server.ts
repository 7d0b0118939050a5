import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Answer {
  /** HTTP status, for example 200. */
  status: number;
  body: string;
  /** Media type. Default: text/plain. */
  type?: string;
  /** Additional headers, for example www-authenticate. */
  headers?: Record<string, string>;
}

/** Answers one request; a rejection becomes status 500. */
export type Route = (request: IncomingMessage) => Answer | Promise<Answer>;

export interface Served {
  port: number;
  close(): Promise<void>;
}

/** Maximum number of open connections. One more closes the oldest, so that clients cannot block probes. */
const CONNECTIONS_MAX = 256;
/** Maximum lifetime of a connection in milliseconds. */
const CONNECTION_MS = 10_000;
/** Milliseconds in which the headers of a request must arrive. */
const HEADERS_MS = 5000;
const HEADER_BYTES_MAX = 8192;

/** A path and a query of printable ASCII. `//` would start a host name. */
const TARGET = /^\/(?!\/)[\x21-\x7e]*$/;

/**
 * Answers GET and HEAD requests for the paths of `routes` on `port` (0: any free port), one request per
 * connection. Other requests are refused. No client input can end or stall the process.
 */
export async function serve(
  port: number,
  routes: Record<string, Route>,
  host?: string,
): Promise<Served> {
  const open = new Set<Socket>();
  const asked = new WeakSet<Socket>();
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS,
      requestTimeout: HEADERS_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      // Pipelined requests would otherwise all be processed at once.
      if (asked.has(request.socket)) request.socket.destroy();
      else void answer(routes, request, response);
      asked.add(request.socket);
    },
  );
  server.on('connection', (socket) => {
    const [oldest] = open;
    if (open.size >= CONNECTIONS_MAX) oldest?.destroy();
    open.add(socket);
    const timer = setTimeout(() => socket.destroy(), CONNECTION_MS).unref();
    socket.once('close', () => {
      clearTimeout(timer);
      open.delete(socket);
    });
  });
  server.on('clientError', ({ code }: NodeJS.ErrnoException, socket) => {
    const status =
      code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
    else socket.destroy();
  });
  server.listen(port, host);
  await once(server, 'listening');
  // A connection that cannot be accepted, for example without a free file descriptor, affects only its client.
  server.on('error', () => {});
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Answers a request. Never rejects. */
async function answer(
  routes: Record<string, Route>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, body, type, headers } = await answerOf(routes, request).catch(() => ({
    ...refusal(500, 'internal error'),
    type: undefined,
  }));
  response.on('error', () => {}); // the client is gone
  response.writeHead(status, {
    'content-type': type ?? 'text/plain',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...headers,
  });
  response.end(body);
}

async function answerOf(routes: Record<string, Route>, request: IncomingMessage): Promise<Answer> {
  const { method, url = '' } = request;
  if (method !== 'GET' && method !== 'HEAD') {
    return { ...refusal(405, 'use GET'), headers: { allow: 'GET, HEAD' } };
  }
  if (!TARGET.test(url)) return refusal(400, 'the request target must be a path');
  const path = url.split('?', 1)[0] as string;
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return route ? route(request) : refusal(404, 'not found');
}

const refusal = (status: number, why: string): Answer => ({ status, body: `${why}\n` });
