import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Answer {
  status: number;
  body: string;
  type?: string;
}

export interface Served {
  port: number;
  close(): Promise<void>;
}

/** Answers GET requests for the paths of `routes`, on `port` (0: a free one). */
export async function serve(
  port: number,
  routes: Record<string, () => Answer | Promise<Answer>>,
  host?: string,
): Promise<Served> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
    let answer: Answer;
    try {
      answer = route ? await route() : { status: 404, body: 'not found\n' };
    } catch (error) {
      answer = { status: 500, body: `${(error as Error).message}\n` };
    }
    response.writeHead(answer.status, { 'content-type': answer.type ?? 'text/plain' });
    response.end(answer.body);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
