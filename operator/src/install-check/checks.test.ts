import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { Client } from '../kube/client.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { checkJetStream, checkOperator, InstallCheckError } from './checks.ts';

/** `checkApi` is tested with the chart, on a real API server. */

let nats: TestNats;
let connection: NatsConnection;
let server: TestApiServer;
let client: Client;

beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  server = await TestApiServer.open();
  client = new Client(server.access);
});
afterAll(async () => {
  await client.close();
  await server.close();
  await connection.close();
  await nats.stop();
});

it('finds that JetStream works, and leaves no stream', async () => {
  expect(await checkJetStream(connection)).toMatch(/gives it back/);
  const jsm = await jetstreamManager(connection);
  expect(await jsm.streams.list().next()).toEqual([]);
});

const target = { namespace: 'gim', name: 'operator', withinSeconds: 0.1 };
const deployment = (generation: number, status: object) => ({
  metadata: { namespace: 'gim', name: 'operator', generation },
  spec: { replicas: 2 },
  status,
});
const PATH = '/apis/apps/v1/namespaces/gim/deployments';

it('tells that there is no operator, and where to look', async () => {
  await expect(checkOperator(client, target)).rejects.toThrow(
    /Deployment gim\/operator is not there after 0.1 s; look at/,
  );
});

it.each([
  ['one is not ready', { observedGeneration: 1, readyReplicas: 1, updatedReplicas: 2 }],
  ['one is of an old version', { observedGeneration: 1, readyReplicas: 2, updatedReplicas: 1 }],
  ['the status is out of date', { observedGeneration: 0, readyReplicas: 2, updatedReplicas: 2 }],
])('is not content with two operators when %s', async (_, status) => {
  server.put(PATH, deployment(1, status));
  await expect(checkOperator(client, target)).rejects.toThrow(InstallCheckError);
});

it('waits for operators that become ready', async () => {
  server.put(PATH, deployment(1, { observedGeneration: 1, readyReplicas: 0 }));
  const check = checkOperator(client, { ...target, withinSeconds: 30 });
  server.put(PATH, deployment(1, { observedGeneration: 1, readyReplicas: 2, updatedReplicas: 2 }));
  expect(await check).toBe('2 of 2 operators are ready');
});
