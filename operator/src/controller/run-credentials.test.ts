import { parseCreds } from '@nats-io/jwt';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Client } from '../kube/client.ts';
import { SECRETS, type SecretObject } from '../kube/resource.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { TestClock } from '../kube/testing/clock.ts';
import { openSigner, type Signer } from '../nats/signer.ts';
import { makeAuth } from '../nats-keys/keys.ts';
import { plannedCredentials } from '../plan/kubernetes/nats-secret.ts';
import { aRun, NOTHING, OPTIONS } from '../plan/kubernetes/testing/builders.ts';
import { RunCredentials } from './run-credentials.ts';

/** Runs make their Secret once; what is in it lets a trainer in. */

const PATH = '/api/v1/namespaces/team/secrets';
let server: TestApiServer;
let client: Client;
let signer: Signer;

beforeEach(async () => {
  server = await TestApiServer.open();
  client = new Client(server.access);
  const auth = await makeAuth();
  signer = await openSigner(
    { file: 'operator.creds', content: auth['operator.creds'] },
    { file: 'signing.seed', content: auth['signing.seed'] },
  );
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const planned = (missed = false) => {
  const options = { ...OPTIONS, natsSecret: { user: true, ca: 'PEM' } };
  const credentials = plannedCredentials(aRun(), [], NOTHING, options);
  if (!credentials) throw new Error('the plan holds no credentials');
  return { ...credentials, missed };
};
const requests = () => server.seen.map(({ method, path }) => `${method} ${path}`);

it('makes the Secret once, with a user that has the planned rights', async () => {
  const credentials = new RunCredentials(client, signer);
  await credentials.ensure(planned());
  await credentials.ensure(planned());
  expect(requests()).toEqual([`POST ${PATH}`]);
  const [created] = server.seen.map(({ body }) => body as SecretObject);
  const { stringData = {} } = created ?? {};
  expect(stringData['ca.crt']).toBe('PEM');
  const creds = new TextEncoder().encode(stringData['nats.creds']);
  const { pub, sub } = (await parseCreds(creds)).uc.nats;
  const { publish, subscribe } = planned().user?.permissions ?? {};
  expect([pub?.allow, sub?.allow]).toEqual([publish, subscribe]);
});

it('an operator that was started again leaves the Secret, and reads none', async () => {
  await new RunCredentials(client, signer).ensure(planned());
  const restarted = new RunCredentials(client, signer);
  await restarted.ensure(planned());
  await restarted.ensure(planned());
  expect(requests()).toEqual([`POST ${PATH}`, `POST ${PATH}`]);
});

it('tries again at most once a minute while a pod waits for a volume', async () => {
  const clock = new TestClock();
  const credentials = new RunCredentials(client, signer, clock);
  const { name = '' } = planned().secret.metadata ?? {};
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
  409, // another writes to the quota at the same moment: not because the Secret is there
])('a %i of the API server is tried again with the next reconcile', async (status) => {
  const credentials = new RunCredentials(client, signer);
  server.fail({ status });
  await expect(credentials.ensure(planned())).rejects.toThrow(`${status}`);
  await credentials.ensure(planned());
  expect(requests()).toEqual([`POST ${PATH}`, `POST ${PATH}`]);
});
