import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../../../test/support/cluster.ts';
import { Client, type SeenRequest } from './client.ts';
import { EventRecorder } from './event-recorder.ts';
import { Informer } from './informer.ts';
import { loadKubeConfig } from './kube-config.ts';
import { Election } from './leader-election.ts';
import {
  CONFIG_MAPS,
  EVENTS,
  JOBS,
  type JobObject,
  LEASES,
  MODULES,
  type ModuleObject,
} from './resource.ts';
import { Applier } from './server-side-apply.ts';

/** Tests the executors against a real API server: accepted objects, results of applies, and deletion. */

const CRDS = resolve(import.meta.dirname, '../../../crds');
const requests: SeenRequest[] = [];
const writes = () => requests.filter(({ method }) => method !== 'GET').length;
const abort = new AbortController();
let cluster: Cluster;
let client: Client;
let applier: Applier;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  for (const plural of ['greedyinfomaxruns', 'greedyinfomaxmodules']) {
    await cluster.exec('kubectl', 'apply', '-f', `${CRDS}/${plural}.yaml`);
  }
  await cluster.crdsEstablished();
  client = new Client(loadKubeConfig(cluster.kubeconfig), (request) => requests.push(request));
  applier = new Applier(client);
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  abort.abort();
  await client?.close();
  await cluster?.stop();
});

const job = (name: string, parallelism = 1): JobObject => ({
  metadata: { namespace: 'default', name, labels: { 'greedyinfomax.dev/run': 'r' } },
  spec: {
    completionMode: 'Indexed',
    completions: parallelism,
    parallelism,
    template: {
      spec: {
        restartPolicy: 'Never',
        containers: [
          {
            name: 'trainer',
            image: 'example.invalid/trainer',
            resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: {} },
            env: [{ name: 'NATS_URL', value: 'nats://nats:4222' }],
          },
        ],
      },
    },
  },
});

const moduleOf = (name: string, replicas?: number) =>
  ({
    metadata: { namespace: 'default', name },
    spec: { runName: 'run', index: 0, ...(replicas !== undefined && { replicas }) },
  }) as ModuleObject;

it('a Job applied a second time costs no request, though the API server rewrote it', async () => {
  const made = await applier.apply(JOBS, job('same'), undefined);
  expect(made.written).toBe(true);
  expect(made.object.spec?.template.spec?.containers[0]?.resources?.requests?.cpu).toBe('1');
  // The Job controller writes the object meanwhile.
  await expect
    .poll(async () => (await client.get(JOBS, 'default', 'same'))?.status?.active, {
      timeout: 20_000,
    })
    .toBe(1);
  const observed = await client.get(JOBS, 'default', 'same');
  const before = writes();
  expect((await applier.apply(JOBS, job('same'), observed)).written).toBe(false);
  expect(writes()).toBe(before);
  // A process that just started has no memory; after one write it makes no more requests.
  const restarted = new Applier(client);
  const { object } = await restarted.apply(JOBS, job('same'), observed);
  expect((await restarted.apply(JOBS, job('same'), object)).written).toBe(false);
  expect(object.metadata.generation).toBe(1);
});

it('completions and parallelism of a Job change together', async () => {
  const { object } = await applier.apply(JOBS, job('elastic', 1), undefined);
  const scaled = await applier.apply(JOBS, job('elastic', 3), object);
  expect(scaled.object.spec).toMatchObject({ completions: 3, parallelism: 3 });
});

it('a deleted Job is not made again by whoever still sees it', async () => {
  const { object } = await applier.apply(JOBS, job('deleted', 1), undefined);
  await client.delete(JOBS, 'default', 'deleted', object.metadata.uid);
  await expect.poll(() => client.get(JOBS, 'default', 'deleted')).toBeUndefined();
  await expect(applier.apply(JOBS, job('deleted', 2), object)).rejects.toMatchObject({
    status: 409,
  });
  expect(await client.get(JOBS, 'default', 'deleted')).toBeUndefined();
});

it('replicas belong to the run while it names them, then to whoever scales, from the same number on', async () => {
  const named = await applier.apply(MODULES, moduleOf('r-first', 4), undefined);
  const released = await applier.apply(MODULES, moduleOf('r-first'), named.object);
  expect(released.written).toBe(true);
  expect(released.object.spec.replicas).toBe(4);
  await cluster.exec('kubectl', 'scale', 'gimmod/r-first', '--replicas=5');
  const scaled = await client.get(MODULES, 'default', 'r-first');
  expect(scaled?.spec.replicas).toBe(5);
  expect((await applier.apply(MODULES, moduleOf('r-first'), scaled)).written).toBe(false);
  const taken = await applier.apply(MODULES, moduleOf('r-first', 1), scaled);
  expect(taken.object.spec.replicas).toBe(1);
  // A process without memory of earlier applies gets the same result.
  const again = await new Applier(client).apply(MODULES, moduleOf('r-first'), taken.object);
  expect(again.object.spec.replicas).toBe(1);
});

it('a field that others had changed is told as undone, one that the caller changes is not', async () => {
  const { object } = await applier.apply(MODULES, moduleOf('r-undone', 2), undefined);
  const edited = await applier.apply(MODULES, moduleOf('r-undone', 3), object);
  expect(edited.undone).toBeUndefined();
  await cluster.exec('kubectl', 'scale', 'gimmod/r-undone', '--replicas=7');
  const scaled = await client.get(MODULES, 'default', 'r-undone');
  const undone = await applier.apply(MODULES, moduleOf('r-undone', 3), scaled);
  expect(undone).toMatchObject({ undone: true, object: { spec: { replicas: 3 } } });
});

it('status is replaced as a whole, and only when it differs', async () => {
  const { object } = await applier.apply(MODULES, moduleOf('r-status'), undefined);
  const first = await applier.applyStatus(MODULES, object, {
    replicas: 1,
    loss: 1.5,
    phase: 'Training',
  });
  expect(first.object.status).toEqual({ replicas: 1, loss: 1.5, phase: 'Training' });
  const second = await applier.applyStatus(MODULES, first.object, { replicas: 1, loss: 2 });
  expect(second.object.status).toEqual({ replicas: 1, loss: 2 });
  const before = writes();
  await applier.applyStatus(MODULES, second.object, { replicas: 1, loss: 2 });
  await new Applier(client).applyStatus(MODULES, second.object, { replicas: 1, loss: 2 });
  expect(writes()).toBe(before);
});

it('events and their series are accepted, also after a restart', async () => {
  const { object } = await applier.apply(MODULES, moduleOf('r-events'), undefined);
  const note = {
    type: 'Warning',
    reason: 'Unschedulable',
    action: 'Wait',
    note: 'no GPU',
  } as const;
  for (const instance of ['one', 'two']) {
    const recorder = new EventRecorder(client, { controller: 'greedyinfomax.dev/op', instance });
    recorder.record(object, note);
    recorder.record(object, note);
    await recorder.flush();
  }
  const { items } = await client.list(EVENTS, 'default');
  const ours = items.filter(({ regarding }) => regarding.name === 'r-events');
  expect(ours).toMatchObject([{ reason: 'Unschedulable', series: { count: 4 } }]);
  const described = await cluster.exec('kubectl', 'describe', 'gimmod', 'r-events');
  expect(described).toContain('no GPU');
});

it('a lease is taken, renewed, freed on a clean end and taken over at once', async () => {
  const said: string[] = [];
  const candidate = (identity: string) => {
    const stop = new AbortController();
    const election = new Election(client, {
      namespace: 'default',
      name: 'operator',
      identity,
      retrySeconds: 0.2,
      onStarted: () => said.push(identity),
      onLost: () => said.push(`${identity} lost`),
    });
    return { election, stop, running: election.run(stop.signal) };
  };
  const first = candidate('a');
  await expect.poll(() => first.election.isLeader).toBe(true);
  const second = candidate('b');
  const renewed = (await client.get(LEASES, 'default', 'operator'))?.spec?.renewTime;
  await expect
    .poll(async () => (await client.get(LEASES, 'default', 'operator'))?.spec?.renewTime)
    .not.toBe(renewed);
  first.stop.abort();
  await first.running;
  await expect.poll(() => second.election.isLeader).toBe(true);
  expect(said).toEqual(['a', 'b']);
  second.stop.abort();
  await second.running;
  expect((await client.get(LEASES, 'default', 'operator'))?.spec?.leaseTransitions).toBe(1);
});

it('an informer outlives the API server, and finds what changed meanwhile', async () => {
  const map = (name: string) => ({
    metadata: { namespace: 'default', name, labels: { of: 'it' } },
  });
  await client.create(CONFIG_MAPS, map('before'));
  const informer = new Informer(client, CONFIG_MAPS, {
    labelSelector: 'of=it',
    backoff: { firstMs: 50, maxMs: 500 },
  });
  const running = informer.run(abort.signal);
  await informer.whenSynced();
  await client.create(CONFIG_MAPS, map('watched'));
  await expect.poll(() => informer.get('default/watched')).toBeDefined();
  await cluster.kill('kube-apiserver');
  await cluster.restart('kube-apiserver');
  // The RBAC of a new API server takes a moment.
  await expect
    .poll(() => client.create(CONFIG_MAPS, map('after')).catch(() => undefined), {
      timeout: 30_000,
    })
    .toBeDefined();
  await client.delete(CONFIG_MAPS, 'default', 'before');
  await expect.poll(() => informer.get('default/after')).toBeDefined();
  await expect.poll(() => informer.get('default/before')).toBeUndefined();
  abort.abort();
  await running;
});
