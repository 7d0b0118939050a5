import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Credentials, DirectAccess } from './access.ts';
import { Client } from './client.ts';
import { KubeConfigError, type KubeConfigFile, loadKubeConfig } from './kube-config.ts';
import { CONFIG_MAPS } from './resource.ts';
import { TestApiServer } from './testing/api-server.ts';
import { TestClock } from './testing/clock.ts';

let server: TestApiServer;
let folder: string;
const cleanUp: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  server = await TestApiServer.open({ tls: true });
  folder = mkdtempSync(join(tmpdir(), 'gim-access-'));
  cleanUp.push(
    () => server.close(),
    async () => rmSync(folder, { recursive: true }),
  );
});
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

/** Returns the identity that the server sees for requests with that kubeconfig. */
async function askedAs(files: string): Promise<string | undefined> {
  const client = new Client(loadKubeConfig(files));
  cleanUp.push(() => client.close());
  await client.list(CONFIG_MAPS);
  return server.tokens.at(-1);
}

function write(name: string, config: KubeConfigFile): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const withUser = (user: object): KubeConfigFile => ({
  ...server.kubeConfig,
  users: [{ name: 'test', user }],
});

it('finds files of a kubeconfig in its folder', async () => {
  const { clusters = [], ...rest } = withUser({ tokenFile: 'secrets/token' });
  const { 'certificate-authority-data': ca = '', ...cluster } = clusters[0]?.cluster ?? {};
  mkdirSync(join(folder, 'secrets'));
  writeFileSync(join(folder, 'secrets/token'), 'from-file\n');
  writeFileSync(join(folder, 'ca.crt'), Buffer.from(ca, 'base64'));
  const file = write('config', {
    ...rest,
    clusters: [{ name: 'test', cluster: { ...cluster, 'certificate-authority': 'ca.crt' } }],
  });
  expect(await askedAs(file)).toBe('Bearer from-file');
});

it('takes of several kubeconfigs what comes first', async () => {
  const { users, ...first } = server.kubeConfig;
  const files = [
    write('first', first),
    write('second', { users: [{ name: 'test', user: { token: 'second' } }] }),
    write('third', { ...server.kubeConfig, 'current-context': 'none' }),
  ];
  expect(await askedAs(files.join(':'))).toBe('Bearer second');
});

it('asks with name and password', async () => {
  const basic = Buffer.from('me:secret').toString('base64');
  expect(await askedAs(write('config', withUser({ username: 'me', password: 'secret' })))).toBe(
    `Basic ${basic}`,
  );
});

it('leaves plugins for credentials to the library', async () => {
  const plugin = join(folder, 'plugin');
  const credential = { kind: 'ExecCredential', status: { token: 'from-plugin' } };
  writeFileSync(plugin, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`);
  chmodSync(plugin, 0o755);
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, args: [] };
  expect(await askedAs(write('config', withUser({ exec })))).toBe('Bearer from-plugin');
});

it('sends no credentials in clear text', () => {
  const cluster = { server: 'http://127.0.0.1:1' };
  const file = write('config', { ...server.kubeConfig, clusters: [{ name: 'test', cluster }] });
  expect(() => loadKubeConfig(file)).toThrow(KubeConfigError);
  expect(() => loadKubeConfig(file)).toThrow(/must be https/);
});

it('reads tokens and certificates again after a minute', async () => {
  const clock = new TestClock();
  const credentials: Credentials = { headers: { authorization: 'Bearer 1' }, tls: {} };
  let reads = 0;
  const access = new DirectAccess(
    'https://127.0.0.1',
    () => {
      reads += 1;
      return structuredClone(credentials);
    },
    clock,
  );
  cleanUp.push(() => access.close());
  const first = await access.open();
  credentials.headers.authorization = 'Bearer 2';
  await clock.advance(59_000);
  expect(await access.open()).toEqual(first);
  await clock.advance(1000);
  const second = await access.open();
  expect(second.headers).toEqual({ authorization: 'Bearer 2' });
  expect(second.dispatcher).toBe(first.dispatcher); // a new token needs no new connection
  credentials.tls.servername = 'elsewhere';
  await clock.advance(60_000);
  expect((await access.open()).dispatcher).not.toBe(first.dispatcher);
  expect(reads).toBe(3);
});
