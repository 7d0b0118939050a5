import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ApiError, Client, type SeenRequest, UnreachableError } from './client.ts';
import { KubeConfigError, loadKubeConfig } from './kube-config.ts';
import { CONFIG_MAPS, JOBS, pathOf, RUNS } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

async function open({ tls = false } = {}) {
  const server = await TestApiServer.open({ tls });
  cleanUp.push(() => server.close());
  const requests: SeenRequest[] = [];
  const client = new Client(server.access, (request) => requests.push(request));
  cleanUp.push(() => client.close());
  return { server, client, requests };
}

const MAP = { metadata: { namespace: 'default', name: 'm' }, data: { a: '1' } };

it('names the places of objects', () => {
  expect(pathOf(CONFIG_MAPS, 'n', 'm')).toBe('/api/v1/namespaces/n/configmaps/m');
  expect(pathOf(JOBS)).toBe('/apis/batch/v1/jobs');
  expect(pathOf(RUNS, 'n', 'r', 'status')).toBe(
    '/apis/greedyinfomax.dev/v1alpha1/namespaces/n/greedyinfomaxruns/r/status',
  );
});

it('creates, reads, replaces, patches and deletes', async () => {
  const { client } = await open();
  const made = await client.create(CONFIG_MAPS, MAP);
  expect(made).toMatchObject({ kind: 'ConfigMap', data: { a: '1' } });
  const replaced = await client.replace(CONFIG_MAPS, { ...made, data: { a: '2' } });
  expect(await client.get(CONFIG_MAPS, 'default', 'm')).toEqual(replaced);
  await client.patch(CONFIG_MAPS, 'default', 'm', 'merge', { data: { b: '3' } });
  const { items } = await client.list(CONFIG_MAPS, 'default');
  expect(items.map(({ data }) => data)).toEqual([{ a: '2', b: '3' }]);
  await client.delete(CONFIG_MAPS, 'default', 'm');
  expect(await client.get(CONFIG_MAPS, 'default', 'm')).toBeUndefined();
  await client.delete(CONFIG_MAPS, 'default', 'm');
});

it('deletes an object only if it has the uid that the caller saw', async () => {
  const { client, server } = await open();
  const path = '/api/v1/namespaces/default/configmaps';
  const former = server.put(path, MAP).metadata.uid;
  server.remove(path, 'm');
  const namesake = server.put(path, MAP).metadata.uid;
  expect(namesake).not.toBe(former);
  await client.delete(CONFIG_MAPS, 'default', 'm', former);
  expect((await client.get(CONFIG_MAPS, 'default', 'm'))?.metadata.uid).toBe(namesake);
  await client.delete(CONFIG_MAPS, 'default', 'm', namesake);
  expect(await client.get(CONFIG_MAPS, 'default', 'm')).toBeUndefined();
});

it('sends each kind of patch as what it is', async () => {
  const { client, server } = await open();
  server.put('/api/v1/namespaces/default/configmaps', MAP);
  for (const type of ['apply', 'merge'] as const) {
    await client.patch(CONFIG_MAPS, 'default', 'm', type, { ...MAP });
  }
  expect(server.seen.map(({ contentType }) => contentType)).toEqual([
    'application/apply-patch+yaml',
    'application/merge-patch+json',
  ]);
});

it('says what the server refused', async () => {
  const { client, server } = await open();
  const made = await client.create(CONFIG_MAPS, MAP);
  await expect(client.create(CONFIG_MAPS, MAP)).rejects.toMatchObject({ reason: 'AlreadyExists' });
  server.put('/api/v1/namespaces/default/configmaps', MAP);
  const error = await client.replace(CONFIG_MAPS, made).catch((each: unknown) => each);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({
    status: 409,
    message: 'PUT /api/v1/namespaces/default/configmaps/m: 409 Conflict because of Conflict',
  });
  server.fail({ status: 429, headers: { 'retry-after': '7' } });
  await expect(client.list(CONFIG_MAPS)).rejects.toMatchObject({ status: 429, retryAfter: 7 });
});

it.each(['drop', 'garbage', 'truncate'] as const)(
  'says that an answer did not come: %s',
  async (fault) => {
    const { client, server, requests } = await open();
    server.fail(fault);
    await expect(client.list(CONFIG_MAPS)).rejects.toBeInstanceOf(UnreachableError);
    expect(requests).toHaveLength(1);
  },
);

it('waits for no answer for ever', async () => {
  const { client, server } = await open();
  server.fail('hang');
  const listing = client.list(CONFIG_MAPS, undefined, { timeoutSeconds: 0.1 });
  await expect(listing).rejects.toBeInstanceOf(UnreachableError);
});

it('tells of each request how it ended', async () => {
  const { client, server, requests } = await open();
  await client.list(CONFIG_MAPS);
  await client.get(CONFIG_MAPS, 'default', 'none');
  server.fail('drop');
  await client.list(CONFIG_MAPS).catch(() => {});
  expect(requests.map(({ method, code }) => [method, code])).toEqual([
    ['GET', 200],
    ['GET', 404],
    ['GET', 0],
  ]);
});

it.each([false, true])('keeps its connections (TLS: %s)', async (tls) => {
  const { client, server } = await open({ tls });
  for (let i = 0; i < 50; i++) await client.list(CONFIG_MAPS);
  // A second one may be opened while the first answer is still being read.
  expect(server.connections).toBeLessThanOrEqual(2);
});

it('sends the credentials of the kubeconfig and trusts its authority', async () => {
  const { server } = await open({ tls: true });
  const folder = mkdtempSync(join(tmpdir(), 'gim-kubeconfig-'));
  cleanUp.push(async () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config');
  writeFileSync(file, JSON.stringify(server.kubeConfig));
  const client = new Client(loadKubeConfig(undefined, { KUBECONFIG: file }));
  cleanUp.push(() => client.close());
  expect((await client.list(CONFIG_MAPS)).items).toEqual([]);
  expect(server.tokens).toEqual(['Bearer secret']);
});

it('says which kubeconfig cannot be read', () => {
  expect(() => loadKubeConfig('/nowhere/config')).toThrow(KubeConfigError);
  expect(() => loadKubeConfig('/nowhere/config')).toThrow(/kubeconfig \/nowhere\/config/);
});

it('says that no cluster is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gim-kubeconfig-'));
  cleanUp.push(async () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'config');
  writeFileSync(file, 'apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: []\n');
  expect(() => loadKubeConfig(file)).toThrow(`${file} names no cluster`);
});
