import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import {
  NamespacesError,
  NamespacesInformer,
  parseNamespaces,
} from './multi-namespace-informer.ts';
import { JOBS } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const pathIn = (namespace: string) => `/apis/batch/v1/namespaces/${namespace}/jobs`;
const job = (namespace: string, name: string) => ({
  metadata: { namespace, name },
  spec: { completions: 1 },
});

async function open(namespaces?: string[]) {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  const client = new Client(server.access);
  cleanUp.push(() => client.close());
  const informer = new NamespacesInformer(client, JOBS, namespaces, {});
  const abort = new AbortController();
  const start = () => {
    const running = informer.run(abort.signal);
    cleanUp.push(() => {
      abort.abort();
      return running;
    });
  };
  return { server, informer, start };
}

it('mirrors each of the namespaces, and asks for no other', async () => {
  const { server, informer, start } = await open(['a', 'b']);
  server.put(pathIn('a'), job('a', 'one'));
  server.put(pathIn('b'), job('b', 'two'));
  const changes: string[] = [];
  informer.onChange((change, { metadata }) => changes.push(`${change} ${metadata.name}`));
  expect(informer.synced).toBe(false);
  start();
  await informer.whenSynced();
  expect(informer.synced).toBe(true);
  await expect.poll(() => server.watches).toBe(2);
  server.put(pathIn('b'), job('b', 'three'));
  await expect.poll(() => changes.toSorted()).toEqual(['added one', 'added three', 'added two']);
  expect(informer.get('a/one')?.metadata.name).toBe('one');
  expect(informer.get('b/three')?.metadata.name).toBe('three');
  expect(informer.get('b/one')).toBeUndefined();
  expect(informer.get('c/one')).toBeUndefined();
  expect(informer.list()).toHaveLength(3);
  expect(new Set(server.seen.map(({ path }) => path))).toEqual(new Set([pathIn('a'), pathIn('b')]));
});

it('is not synced before the last namespace is', async () => {
  const { server, informer, start } = await open(['a', 'b']);
  server.put(pathIn('a'), job('a', 'one'));
  server.fail({ status: 403 }, ({ path }) => path === pathIn('b'));
  start();
  await expect.poll(() => informer.list()).toHaveLength(1);
  await informer.whenSynced();
  expect(server.seen.filter(({ path }) => path === pathIn('b')).length).toBeGreaterThan(1);
});

it('watches all namespaces at once when none are named', async () => {
  const { server, informer, start } = await open();
  server.put('/apis/batch/v1/jobs', job('anywhere', 'one'));
  start();
  await informer.whenSynced();
  expect(informer.get('anywhere/one')?.metadata.name).toBe('one');
});

it('reads names with commas between, each once', () => {
  expect(parseNamespaces(undefined)).toBeUndefined();
  expect(parseNamespaces('a')).toEqual(['a']);
  expect(parseNamespaces('a, b-2,a')).toEqual(['a', 'b-2']);
});

it.each(['', 'a,', 'A', 'a/b', '-a'])('refuses "%s" as namespaces', (text) => {
  expect(() => parseNamespaces(text)).toThrow(NamespacesError);
  expect(() => parseNamespaces(text)).toThrow(/is no name of a namespace; give names with commas/);
});
