import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type Served, serve } from './http-server.ts';

let server: Served | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
  server = undefined;
});

/** Counts the calls of the route. */
async function start(work: () => Promise<string> = async () => 'fine\n') {
  const seen = { requests: 0 };
  server = await serve(
    0,
    {
      '/ok': async () => {
        seen.requests += 1;
        return { status: 200, body: await work() };
      },
      '/broken': () => {
        throw new Error('a secret');
      },
    },
    '127.0.0.1',
  );
  return { port: server.port, seen };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Resolves when the socket is closed, with or without an error. */
const closing = (socket: Socket) => new Promise((done) => socket.once('close', done));

/** Sends `bytes` unchanged. Resolves with the whole response when the server closes the connection. */
async function send(port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = await dial(port);
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = closing(socket);
  socket.write(bytes);
  await closed;
  return text;
}

const status = (text: string): number => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
const isWell = async (port: number) => (await fetch(`http://127.0.0.1:${port}/ok`)).status === 200;

describe('an HTTP server of the operator', () => {
  it.each([
    ['GET / HTTP/1.1', 404],
    ['GET //', 400],
    ['GET // HTTP/1.1', 400],
    ['GET //host/ok HTTP/1.1', 400],
    ['GET http:// HTTP/1.1', 400],
    ['GET http://[ HTTP/1.1', 400],
    ['GET /ok?a=%zz&b HTTP/1.1', 200],
    ['HEAD /ok HTTP/1.1', 200],
    ['GET /__proto__ HTTP/1.1', 404],
    ['GET /constructor HTTP/1.1', 404],
    ['GET /\u00ff HTTP/1.1', 400],
    ['POST /ok HTTP/1.1', 405],
    ['DELETE /ok HTTP/1.1', 405],
    ['OPTIONS * HTTP/1.1', 405],
    ['GET /broken HTTP/1.1', 500],
    ['FETCH /ok HTTP/1.1', 400],
    ['GET /ok HTTP/9.9', 400],
    ['GET /ok\u0000 HTTP/1.1', 400],
  ])('answers %j with %i', async (line, expected) => {
    const { port } = await start();
    const text = await send(port, Buffer.from(`${line}\r\nHost: x\r\n\r\n`, 'latin1'));
    expect(status(text)).toBe(expected);
    expect(text).not.toContain('secret');
    expect(await isWell(port)).toBe(true);
  });

  it('refuses headers of more than 8 KiB', async () => {
    const { port } = await start();
    const text = await send(port, `GET /ok HTTP/1.1\r\nA: ${'a'.repeat(20_000)}\r\n\r\n`);
    expect(status(text)).toBe(431);
    expect(await isWell(port)).toBe(true);
  });

  it('does not read a body that follows a request', async () => {
    const { port, seen } = await start();
    const head = 'GET /ok HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n';
    expect(status(await send(port, head + 'x'.repeat(100_000)))).toBe(200);
    expect(seen.requests).toBe(1);
  });

  it('works on one request of those that a connection sends at once', async () => {
    const { port, seen } = await start(() => new Promise((done) => setTimeout(done, 20, 'late')));
    await send(port, 'GET /ok HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3000));
    expect(seen.requests).toBe(1);
    expect(await isWell(port)).toBe(true);
  });

  it('answers while 1,000 connections say nothing, and keeps 256 of them at most', async () => {
    const { port } = await start();
    const idle: Socket[] = [];
    for (let i = 0; i < 1000; i++) idle.push(await dial(port));
    expect(await isWell(port)).toBe(true);
    await expect.poll(() => idle.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(256);
  });

  it('closes a connection that sends its headers too slowly', { timeout: 30_000 }, async () => {
    const { port } = await start();
    const socket = await dial(port);
    const drip = setInterval(() => socket.write('A'), 500);
    socket.write('GET /ok HTTP/1.1\r\n');
    socket.resume();
    await closing(socket);
    clearInterval(drip);
    expect(await isWell(port)).toBe(true);
  });

  it('survives a client that goes before the answer', async () => {
    const { port, seen } = await start(() => new Promise((done) => setTimeout(done, 50, 'late')));
    const socket = await dial(port);
    socket.write('GET /ok HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(() => seen.requests).toBe(1);
    socket.resetAndDestroy();
    expect(await isWell(port)).toBe(true);
  });

  it('survives 400 requests of random bytes', { timeout: 60_000 }, async () => {
    const { port } = await start();
    const word = fc.oneof(
      fc.constantFrom('GET', 'HEAD', 'PUT', 'CONNECT', 'PRI', '/', '//', '/ok', '*', 'HTTP/1.1'),
      fc.constantFrom('http://', 'http://[::1', '/ok#', '/%', '\\\\', 'HTTP/2.0', 'HTTP/1.', '\t'),
      fc.string({ unit: 'binary', maxLength: 12 }),
    );
    const header = fc.oneof(
      fc.constantFrom('Host: x', 'Upgrade: h2c', 'Connection: upgrade', 'Expect: 100-continue'),
      fc.constantFrom('Transfer-Encoding: chunked', 'Content-Length: -1', 'Content-Length: 5', ':'),
      fc.string({ unit: 'binary', maxLength: 30 }),
    );
    const request = fc
      .tuple(fc.array(word, { maxLength: 5 }), fc.array(header, { maxLength: 4 }))
      .map(([line, headers]) => `${[line.join(' '), ...headers].join('\r\n')}\r\n\r\n`);
    await fc.assert(
      fc.asyncProperty(request, async (text) => {
        const socket = await dial(port);
        socket.resume();
        socket.end(Buffer.from(text, 'utf8'));
        await closing(socket);
      }),
      { seed: 29, numRuns: 400 },
    );
    expect(await isWell(port)).toBe(true);
  });
});
