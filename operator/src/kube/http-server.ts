import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Answer {
  /** HTTP status, as 200. */
  status: number;
  body: string;
  /** Media type. Default: text/plain. */
  type?: string;
  /** More headers, as www-authenticate. */
  headers?: Record<string, string>;
}

/** Answers one request; a rejection is answered with 500. */
export type Route = (request: IncomingMessage) => Answer | Promise<Answer>;

export interface Served {
  port: number;
  close(): Promise<void>;
}

/** Maximum number of open connections; one more closes the oldest, so that nobody keeps a probe out. */
const CONNECTIONS_MAX = 256;
/** Milliseconds from a connection's start to its end, whatever it does. */
const CONNECTION_MS = 10_000;
/** Milliseconds in which the headers of a request must arrive. */
const HEADERS_MS = 5000;
const HEADER_BYTES_MAX = 8192;

/** A path and a query of printable ASCII. `//` would begin the name of a host. */
const TARGET = /^\/(?!\/)[\x21-\x7e]*$/;

/**
 * Answers GET and HEAD requests for the paths of `routes` on `port` (0: a free one), one request a connection. What is no
 * such request is refused: nothing that a client sends ends or stalls the process.
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
      // Requests that follow without waiting for the answer would all be worked on at once.
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
  // A connection that cannot be accepted, as without a free file descriptor, is the client's loss.
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

/** Never rejects. */
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
