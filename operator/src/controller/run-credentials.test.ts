import { parseCreds } from '@nats-io/jwt';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Client, METADATA_ONLY } from '../kube/client.ts';
import { SECRETS, type SecretObject } from '../kube/resource.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { TestClock } from '../kube/testing/clock.ts';
import { DEFAULT_LIMITS } from '../nats/account-claims.ts';
import { DerivedKeys } from '../nats/account-keys.ts';
import { NamespaceAccounts } from '../nats/namespace-accounts.ts';
import { makeAuth } from '../nats-keys/keys.ts';
import { CREDENTIALS_GENERATION } from '../plan/kubernetes/names.ts';
import { plannedCredentials } from '../plan/kubernetes/nats-secret.ts';
import { aRun, NOTHING, OPTIONS } from '../plan/kubernetes/testing/builders.ts';
import { RunCredentials } from './run-credentials.ts';

/** Each run has a Secret with credentials, which is renewed in time and never read. */

const PATH = '/api/v1/namespaces/team/secrets';
const LIFETIME = 86_400;
let server: TestApiServer;
let client: Client;
let clock: TestClock;
/** Never connected, because credentials are signed without a server. */
let nats: NamespaceAccounts;
let credentials: RunCredentials;

beforeEach(async () => {
  server = await TestApiServer.open();
  client = new Client(server.access);
  clock = new TestClock();
  const content = (await makeAuth())['operator.seed'];
  nats = new NamespaceAccounts({
    access: { url: 'nats://127.0.0.1:1' },
    keys: new DerivedKeys({ file: 'operator.seed', content }),
    limits: DEFAULT_LIMITS,
    lifetimeSeconds: LIFETIME,
    owner: () => 'us',
    log: pino({ level: 'silent' }),
    clock,
  });
  credentials = new RunCredentials(client, nats, clock);
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const planned = (missed = false, generation = 0) => {
  const options = { ...OPTIONS, natsSecret: { user: true, ca: 'PEM' } };
  const annotations = { [CREDENTIALS_GENERATION]: String(generation) };
  const run = aRun({}, { metadata: { annotations } });
  const credentials = plannedCredentials(run, [], NOTHING, options);
  if (!credentials) throw new Error('the plan holds no credentials');
  return { ...credentials, missed };
};
const { name = '' } = planned().secret.metadata ?? {};
const WRITE = `PATCH ${PATH}/${name}`;
const requests = () => server.seen.map(({ method, path }) => `${method} ${path}`);
const stored = async () => {
  const secret = await client.get(SECRETS, 'team', name);
  const text = (key: string) => Buffer.from(secret?.data?.[key] ?? '', 'base64');
  return { ca: text('ca.crt').toString(), creds: await parseCreds(text('nats.creds')) };
};

it('writes the Secret once, with a user that has the planned rights and an end', async () => {
  await credentials.ensure(planned());
  await credentials.ensure(planned());
  expect(requests()).toEqual([WRITE]);
  const { ca, creds } = await stored();
  expect(ca).toBe('PEM');
  const { pub, sub } = creds.uc.nats;
  const { publish, subscribe } = planned().user?.permissions ?? {};
  expect([pub?.allow, sub?.allow]).toEqual([publish, subscribe]);
  expect(creds.uc.exp).toBe(Math.floor(clock.date().getTime() / 1000) + LIFETIME);
});

it('asks for metadata alone in the answer, and reads no Secret', async () => {
  await credentials.ensure(planned());
  expect(server.seen.map(({ accept }) => accept)).toEqual([METADATA_ONLY]);
  const body = server.seen[0]?.body as SecretObject;
  expect(body.stringData).toBeUndefined(); // server-side apply does not track it
});

it('renews the credentials before half of their lifetime', async () => {
  await credentials.ensure(planned());
  const { creds: before } = await stored();
  const after = credentials.renewAfterSeconds('run-1') ?? Number.NaN;
  expect(after).toBeGreaterThan(0);
  expect(after).toBeLessThan(LIFETIME / 2);
  clock.advance(after * 1000 - 1);
  await credentials.ensure(planned());
  expect(requests().filter((each) => each === WRITE)).toHaveLength(1);
  clock.advance(1);
  await credentials.ensure(planned());
  const { creds } = await stored();
  expect(creds.uc.exp).toBeGreaterThan(before.uc.exp ?? Number.NaN);
  expect(creds.uc.sub).toBe(before.uc.sub);
});

it('writes credentials of another user at once when the generation rises', async () => {
  await credentials.ensure(planned());
  const { creds: before } = await stored();
  await credentials.ensure(planned(false, 1));
  await credentials.ensure(planned(false, 1));
  expect(requests().filter((each) => each === WRITE)).toHaveLength(2);
  expect((await stored()).creds.uc.sub).not.toBe(before.uc.sub);
});

it('tries again at most once a minute while a pod waits for a volume', async () => {
  await credentials.ensure(planned());
  await client.delete(SECRETS, 'team', name);
  await credentials.ensure(planned(true));
  expect(await client.get(SECRETS, 'team', name)).toBeUndefined();
  clock.advance(60_000);
  await credentials.ensure(planned(true));
  expect(await client.get(SECRETS, 'team', name)).toBeDefined();
});

it.each([
  403, // a quota is used up
  409, // another client writes to the quota at the same moment
])('a %i of the API server is tried again with the next reconcile', async (status) => {
  server.fail({ status });
  await expect(credentials.ensure(planned())).rejects.toThrow(`${status}`);
  await credentials.ensure(planned());
  expect(requests()).toEqual([WRITE, WRITE]);
});
