import { afterEach, expect, it } from 'vitest';
import { openHealthServer } from './health.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0)) await each();
});

async function get(port: number, path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.text() };
}

it('tells what is well and what is not', async () => {
  let isSynced = false;
  const server = await openHealthServer(0, {
    healthz: { ping: () => true },
    readyz: {
      ping: () => true,
      informers: () => isSynced || 'waiting for the first list of jobs',
      nats() {
        throw new Error('not connected');
      },
    },
  });
  cleanUp.push(server.close);
  expect(await get(server.port, '/healthz')).toEqual({ status: 200, body: '[+]ping ok\nok\n' });
  expect(await get(server.port, '/readyz?verbose')).toEqual({
    status: 503,
    body:
      '[+]ping ok\n[-]informers failed: waiting for the first list of jobs\n' +
      '[-]nats failed: not connected\nfailed\n',
  });
  isSynced = true;
  expect((await get(server.port, '/readyz')).body).toContain('[+]informers ok');
  expect((await get(server.port, '/other')).status).toBe(404);
});
