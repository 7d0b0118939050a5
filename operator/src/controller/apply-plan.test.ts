import { afterEach, beforeEach, expect, it } from 'vitest';
import { Client } from '../kube/client.ts';
import type { KubeObject, RunObject } from '../kube/resource.ts';
import { Applier } from '../kube/server-side-apply.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { noNats } from '../nats/testing/tenants.ts';
import type { KubernetesPlan } from '../plan/kubernetes/types.ts';
import { carryOut, withWritten } from './apply-plan.ts';
import type { Children } from './caches.ts';
import { RunCredentials } from './run-credentials.ts';

let server: TestApiServer;
let client: Client;
beforeEach(async () => {
  server = await TestApiServer.open();
  client = new Client(server.access);
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const NOTHING: Children = { modules: [], jobs: [], configMaps: [], pods: [], warnings: new Map() };
const run = { metadata: { namespace: 'n', name: 'r', uid: 'run-1' } } as RunObject;
const object = (kind: string, name: string): KubeObject => ({
  kind,
  metadata: { namespace: 'n', name },
});
const OBJECTS = [object('Job', 'j'), object('ConfigMap', 'c'), object('GreedyInfoMaxModule', 'm')];

const carry = (plan: object, beforeJobs: Promise<unknown> = Promise.resolve()) =>
  carryOut(
    { client, applier: new Applier(client), credentials: new RunCredentials(client, noNats()) },
    run,
    { apply: [], remove: [], ...plan } as unknown as KubernetesPlan,
    NOTHING,
    beforeJobs,
  );

const asked = () =>
  server.seen.map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`);

it('makes Jobs last, and only when all else is there', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const carrying = carry({ apply: OBJECTS }, promise);
  await expect.poll(asked).toHaveLength(2);
  expect(asked()).not.toContain('PATCH jobs/j');
  resolve();
  const { written, obstacle } = await carrying;
  expect(asked().at(-1)).toBe('PATCH jobs/j');
  expect(written.map(({ metadata }) => metadata.name).sort()).toEqual(['c', 'j', 'm']);
  expect(obstacle).toBeUndefined();
});

it('makes no Job when something else is refused, and says what', async () => {
  server.fail({ status: 403 }, ({ path }) => path.endsWith('/c'));
  const { obstacle } = await carry({ apply: OBJECTS });
  expect(obstacle).toMatchObject({ name: 'RefusedError', kind: 'ConfigMap', object: 'c' });
  expect(asked()).not.toContain('PATCH jobs/j');
});

it('makes no Job when what must be there before does not come', async () => {
  const failing = Promise.reject(new Error('not held'));
  await expect(carry({ apply: OBJECTS }, failing)).rejects.toThrow('not held');
  await expect(
    carry({ apply: OBJECTS, remove: [{ kind: 'Job', namespace: 'n', name: 'old' }] }, failing),
  ).rejects.toThrow('not held');
  expect(asked()).not.toContain('PATCH jobs/j');
});

it('takes what was written for what there is', () => {
  const old = object('Job', 'a');
  const [job, configMap] = [object('Job', 'a'), object('ConfigMap', 'a')];
  const children = withWritten({ ...NOTHING, jobs: [old, object('Job', 'b')] }, [job, configMap]);
  expect(children.jobs).toEqual([object('Job', 'b'), job]);
  expect(children.jobs).not.toContain(old);
  expect(children.configMaps).toEqual([configMap]);
});
