import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import { Informer, type InformerOptions } from './informer.ts';
import { JOBS, type JobObject } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';
import type { Fault } from './testing/faults.ts';

const PATH = '/apis/batch/v1/jobs';
const QUICK: InformerOptions = {
  backoff: { firstMs: 10, maxMs: 40 },
  idleSeconds: 0.3,
  random: () => 0.5,
};

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const job = (name: string, completions = 1, labels = {}) => ({
  metadata: { namespace: 'default', name, labels },
  spec: { completions },
});

async function open(options: InformerOptions = {}) {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  server.put(PATH, job('a'));
  const client = new Client(server.access);
  cleanUp.push(() => client.close());
  const informer = new Informer(client, JOBS, { ...QUICK, ...options });
  const changes: string[] = [];
  informer.onChange((change, { metadata }) => changes.push(`${change} ${metadata.name}`));
  const abort = new AbortController();
  const running = informer.run(abort.signal);
  cleanUp.push(() => {
    abort.abort();
    return running;
  });
  return { server, client, informer, changes, abort, running };
}

/** Waits until a watch is open. */
const watching = (server: TestApiServer) => expect.poll(() => server.watches).toBeGreaterThan(0);
const completions = (informer: Informer<JobObject>, name: string) =>
  informer.get(`default/${name}`)?.spec?.completions;

it('takes a list whose items are null for empty, and one without items for none', async () => {
  const { server, informer, changes } = await open();
  await informer.whenSynced();
  await watching(server);
  server.emptyItems = undefined;
  server.remove(PATH, 'a');
  await expect.poll(() => changes).toEqual(['added a', 'deleted a']);
  const { requests } = informer;
  server.compact();
  server.endWatches('end');
  await expect.poll(() => informer.requests.lists).toBeGreaterThan(requests.lists + 1);
  server.emptyItems = null;
  await watching(server);
});

it('lists, then follows what changes', async () => {
  const { server, informer, changes } = await open();
  expect(informer.synced).toBe(false);
  await informer.whenSynced();
  expect(informer.synced).toBe(true);
  await watching(server);
  server.put(PATH, job('b'));
  server.put(PATH, job('a', 2));
  server.remove(PATH, 'b');
  await expect.poll(() => changes).toEqual(['added a', 'added b', 'modified a', 'deleted b']);
  expect(informer.list().map(({ metadata }) => metadata.name)).toEqual(['a']);
  expect(completions(informer, 'a')).toBe(2);
  expect(informer.get('default/a')).toMatchObject({ apiVersion: 'batch/v1', kind: 'Job' });
});

it('tells a late handler of everything there is', async () => {
  const { informer } = await open();
  await informer.whenSynced();
  const seen: string[] = [];
  informer.onChange((change, { metadata }) => seen.push(`${change} ${metadata.name}`));
  expect(seen).toEqual(['added a']);
});

it('reads long lists page by page', async () => {
  const { server, informer } = await open({ pageSize: 3 });
  await informer.whenSynced();
  for (let i = 0; i < 10; i++) server.put(PATH, job(`j${i}`));
  server.compact();
  server.endWatches('cut');
  await expect.poll(() => informer.list().length).toBe(11);
});

it('asks for its selector, for bookmarks and for an end in good time', async () => {
  const { server } = await open({ labelSelector: 'x=y', watchSeconds: 300 });
  await watching(server);
  const [list, watch] = server.seen;
  expect(list?.query.get('labelSelector')).toBe('x=y');
  expect(Object.fromEntries(watch?.query ?? [])).toEqual({
    labelSelector: 'x=y',
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: '101',
    timeoutSeconds: '450',
  });
});

it.each(['end', 'cut'] as const)(
  'goes on without a list after a watch that was %s',
  async (how) => {
    const { server, informer, changes } = await open();
    await watching(server);
    server.put(PATH, job('b'));
    await expect.poll(() => changes).toContain('added b');
    server.endWatches(how);
    server.put(PATH, job('b', 7));
    await expect.poll(() => completions(informer, 'b')).toBe(7);
    expect(informer.requests.lists).toBe(1);
  },
);

it('notices a watch that fell silent, and loses nothing', async () => {
  const { server, informer } = await open();
  await watching(server);
  server.muteWatches();
  server.put(PATH, job('a', 5));
  await expect.poll(() => completions(informer, 'a')).toBe(5);
  expect(informer.requests).toMatchObject({ lists: 1 });
});

it('goes on from the newest bookmark', async () => {
  const { server } = await open();
  await watching(server);
  server.bookmark();
  server.endWatches('end');
  const versions = () =>
    server.seen
      .filter(({ query }) => query.has('watch'))
      .map(({ query }) => query.get('resourceVersion'));
  await expect.poll(versions).toContain('102');
});

it('lists again after an answer 410, and tells only what differs', async () => {
  const { server, informer, changes } = await open();
  server.put(PATH, job('gone'));
  await expect.poll(() => changes).toContain('added gone');
  server.put(PATH, job('same'));
  await expect.poll(() => changes).toContain('added same');
  changes.length = 0;
  // Changes happen while no watch is open.
  server.fail({ status: 503 }, ({ query }) => query.has('watch'), 2);
  server.endWatches('cut');
  server.remove(PATH, 'gone');
  server.put(PATH, job('new'));
  server.put(PATH, job('a', 3));
  server.compact();
  await expect.poll(() => [...changes].sort()).toEqual(['added new', 'deleted gone', 'modified a']);
  expect(informer.requests.lists).toBe(2);
});

it('lists again after an ERROR event 410', async () => {
  const { server, informer } = await open();
  await watching(server);
  server.fail('goneEvent', ({ query }) => query.has('watch'));
  server.endWatches('end');
  await expect.poll(() => informer.requests.lists).toBe(2);
  server.put(PATH, job('b'));
  await expect.poll(() => informer.get('default/b')).toBeDefined();
});

it('sees an object that was deleted and made anew as both', async () => {
  const { server, changes } = await open();
  await watching(server);
  changes.length = 0;
  server.muteWatches();
  server.remove(PATH, 'a');
  server.put(PATH, job('a'));
  server.compact();
  await expect.poll(() => changes).toEqual(['deleted a', 'added a']);
});

it.each<[string, Fault]>([
  ['429', { status: 429 }],
  ['500', { status: 500 }],
  ['403', { status: 403 }],
  ['garbage', 'garbage'],
  ['a cut line', 'truncate'],
  ['a dropped connection', 'drop'],
  ['no answer', 'hang'],
  ['headers and then nothing', 'silentWatch'],
])('outlives a watch that is answered with %s', async (_, fault) => {
  const { server, informer } = await open();
  await watching(server);
  server.fail(fault, ({ query }) => query.has('watch'), 2);
  server.endWatches('cut');
  server.put(PATH, job('b'));
  await expect.poll(() => informer.get('default/b')).toBeDefined();
  expect(informer.requests.lists).toBe(1);
});

it.each<Fault>([{ status: 500 }, { status: 429 }, 'drop', 'garbage', 'truncate'])(
  'outlives a first list that is answered with %s',
  async (fault) => {
    const server = await TestApiServer.open();
    cleanUp.push(() => server.close());
    server.put(PATH, job('a'));
    server.fail(fault, undefined, 3);
    const client = new Client(server.access);
    cleanUp.push(() => client.close());
    const informer = new Informer(client, JOBS, QUICK);
    const abort = new AbortController();
    const running = informer.run(abort.signal);
    await informer.whenSynced();
    expect(informer.requests.lists).toBe(4);
    expect(informer.list()).toHaveLength(1);
    abort.abort();
    await running;
  },
);

it('goes on after garbage in the middle of a watch', async () => {
  const { server, informer } = await open();
  await watching(server);
  server.sendToWatches('<html>\n');
  await expect.poll(() => informer.requests.watches).toBeGreaterThan(1);
  server.put(PATH, job('b'));
  await expect.poll(() => informer.get('default/b')).toBeDefined();
});

it('understands events that arrive in pieces, in the middle of a character', async () => {
  const { server, informer } = await open();
  await watching(server);
  const object = {
    metadata: {
      namespace: 'default',
      name: 'b',
      uid: 'b',
      resourceVersion: '500',
      labels: { x: 'ä' },
    },
  };
  const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
  const middle = bytes.indexOf(0xc3) + 1;
  server.sendToWatches(bytes.subarray(0, middle));
  await new Promise((resolve) => setTimeout(resolve, 20));
  server.sendToWatches(bytes.subarray(middle));
  await expect.poll(() => informer.get('default/b')?.metadata.labels).toEqual({ x: 'ä' });
});

it('outlives handlers that throw', async () => {
  const { server, informer, changes } = await open();
  informer.onChange(() => {
    throw new Error('a handler that is wrong');
  });
  await watching(server);
  server.put(PATH, job('b'));
  server.put(PATH, job('c'));
  await expect.poll(() => changes).toEqual(['added a', 'added b', 'added c']);
});

it('lists again now and then, and so finds what no watch told', async () => {
  const { server, informer } = await open({ relistSeconds: 0 });
  await watching(server);
  server.endWatches('end');
  await expect.poll(() => informer.requests.lists).toBeGreaterThan(1);
});

it('waits ever longer while nothing works, as long as the server asks, and little after a success', async () => {
  const waits: number[] = [];
  const { server, informer } = await open({
    backoff: { firstMs: 500, maxMs: 3000 },
    async wait(milliseconds) {
      waits.push(milliseconds);
    },
  });
  await watching(server);
  server.fail({ status: 500 }, undefined, 4);
  server.fail({ status: 429, headers: { 'retry-after': '7' } });
  server.put(PATH, job('b'));
  await expect.poll(() => informer.get('default/b')).toBeDefined();
  server.endWatches('cut');
  await expect.poll(() => waits.length).toBe(6);
  expect(waits).toEqual([500, 500, 1000, 2000, 3000, 7000]);
});

it('ends when it is told to', async () => {
  const { server, abort, running } = await open();
  await watching(server);
  abort.abort();
  await running;
  await expect.poll(() => server.watches).toBe(0);
});
