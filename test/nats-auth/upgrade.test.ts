import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser } from '@nats-io/nkeys';
import pino from 'pino';
import { afterEach, expect, it } from 'vitest';
import { RunCredentials } from '../../operator/src/controller/run-credentials.ts';
import { Client } from '../../operator/src/kube/client.ts';
import { SECRETS, type SecretObject } from '../../operator/src/kube/resource.ts';
import { TestApiServer } from '../../operator/src/kube/testing/api-server.ts';
import { DEFAULT_LIMITS } from '../../operator/src/nats/account-claims.ts';
import { DerivedKeys } from '../../operator/src/nats/account-keys.ts';
import { NamespaceAccounts } from '../../operator/src/nats/namespace-accounts.ts';
import { writeAuth } from '../../operator/src/nats-keys/files.ts';
import { makeAuth, resolverConfig } from '../../operator/src/nats-keys/keys.ts';
import { plannedCredentials } from '../../operator/src/plan/kubernetes/nats-secret.ts';
import { aRun, NOTHING, OPTIONS } from '../../operator/src/plan/kubernetes/testing/builders.ts';
import { connectNats } from '../../trainer/src/nats/connect.ts';
import { startNats } from '../support/nats.ts';

/** Upgrade from the chart that kept all runs in one account, with an `auth.conf` of its own (decision 7). */

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** `auth.conf` and a trainer's credentials as the chart of decision 7 made them: one account, users without an end. */
async function authOfDecision7() {
  const [operator, system, account] = [createOperator(), createAccount(), createAccount()];
  const [signing, user] = [createAccount(), createUser()];
  const limits = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 };
  const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const signer = { signer: operator };
  const operatorJwt = await encodeOperator('greedy-infomax', operator, {
    system_account: system.getPublicKey(),
  });
  const claims = {
    limits: { ...limits, ...storage, wildcards: true },
    signing_keys: [signing.getPublicKey()],
  };
  const systemJwt = await encodeAccount('system', system, {}, signer);
  const accountJwt = await encodeAccount('greedy-infomax', account, claims, signer);
  const rights = { pub: { allow: ['>'] }, sub: { allow: ['>'] } };
  const userJwt = await encodeUser('r', user, account.getPublicKey(), rights, { signer: signing });
  const config = [
    `operator: ${operatorJwt}`,
    `system_account: ${system.getPublicKey()}`,
    'resolver: MEMORY',
    'resolver_preload: {',
    `  ${system.getPublicKey()}: ${systemJwt}`,
    `  ${account.getPublicKey()}: ${accountJwt}`,
    '}',
  ].join('\n');
  return { config, creds: new TextDecoder().decode(fmtCreds(userJwt, user)) };
}

it('a trainer with credentials of the one account of before comes back with those of its namespace', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gim-upgrade-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const [config, natsCreds] = [join(folder, 'server.conf'), join(folder, 'nats.creds')];
  const before = await authOfDecision7();
  writeFileSync(config, before.config);
  writeFileSync(natsCreds, before.creds, { mode: 0o600 });
  const nats = await startNats('127.0.0.1', { config });
  cleanups.push(() => nats.stop());
  const trainer = await connectNats({ natsUrl: nats.url, natsCreds }, 'trainer');
  cleanups.push(() => trainer.close());
  await trainer.flush();
  const { promise: refused, resolve: noteRefused } = Promise.withResolvers<void>();
  void (async () => {
    for await (const { type } of trainer.status()) if (type === 'error') noteRefused();
  })();

  const auth = await makeAuth();
  writeAuth(folder, auth);
  await nats.kill();
  const resolver = resolverConfig(join(folder, 'accounts'));
  writeFileSync(config, `${resolver}\ninclude "auth.conf"\n`);
  await nats.restart();
  await refused;

  const stopping = new AbortController();
  const api = await TestApiServer.open();
  const client = new Client(api.access);
  cleanups.push(() => api.close());
  cleanups.push(() => client.close());
  const accounts = new NamespaceAccounts({
    access: { url: nats.url, creds: join(folder, 'system.creds') },
    keys: new DerivedKeys({ file: 'operator.seed', content: auth['operator.seed'] }),
    limits: DEFAULT_LIMITS,
    lifetimeSeconds: 3600,
    owner: () => 'us',
    log: pino({ level: 'silent' }),
  });
  cleanups.push(() => accounts.close());
  cleanups.push(() => stopping.abort());
  const { promise: connected, resolve: noteConnected } = Promise.withResolvers<void>();
  const events = { onConnected: () => {}, onState: () => noteConnected() };
  accounts.start(events, stopping.signal);
  await connected;
  await accounts.admit({ namespace: 'team', uid: 'run-1', memoryBytes: 2 ** 20, files: false });
  const planned = plannedCredentials(aRun(), [], NOTHING, {
    ...OPTIONS,
    natsSecret: { user: true },
  });
  if (!planned) throw new Error('no credentials are planned');
  const { name = '' } = planned.secret.metadata ?? {};
  const old = { ...planned.secret, data: { 'nats.creds': btoa(before.creds) } };
  const query = { fieldManager: 'operator of before', force: true };
  await client.patch(SECRETS, 'team', name, 'apply', old as SecretObject, { query });
  await new RunCredentials(client, accounts).ensure(planned);
  const secret = await client.get(SECRETS, 'team', name);
  const renewed = Buffer.from(secret?.data?.['nats.creds'] ?? '', 'base64').toString();
  expect(renewed).not.toBe(before.creds);

  const { promise: back, resolve: noteBack } = Promise.withResolvers<void>();
  void (async () => {
    for await (const { type } of trainer.status()) if (type === 'reconnect') noteBack();
  })();
  writeFileSync(natsCreds, renewed); // as the kubelet does
  await back;
  await trainer.flush();
  const inside = await accounts.open('team');
  const [control = ''] = planned.user?.permissions.subscribe ?? [];
  const told = trainer.subscribe(control)[Symbol.asyncIterator]();
  await trainer.flush();
  inside?.publish(control.replace('>', 'x').replaceAll('*', 'x'), 'hello');
  expect((await told.next()).value?.string()).toBe('hello');
});
