import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Client } from '../kube/client.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { Caches } from './caches.ts';

/** Tests of the caches of runs and their objects. */

const NAMESPACE = 'team';
const JOBS = `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`;
const MODULES = `/apis/greedyinfomax.dev/v1alpha1/namespaces/${NAMESPACE}/greedyinfomaxmodules`;
const WARNINGS = `/api/v1/namespaces/${NAMESPACE}/events`;

let server: TestApiServer;
let client: Client;
let caches: Caches;
let watching: Promise<void>;
let abort: AbortController;

beforeEach(async () => {
  server = await TestApiServer.open();
  client = new Client(server.access);
  caches = new Caches(client, [NAMESPACE], pino({ level: 'silent' }));
  abort = new AbortController();
  server.put(JOBS, job('a-first', 'a'));
  server.put(JOBS, job('b-first', 'b'));
  watching = caches.watch(abort.signal);
  await caches.whenSynced();
  await expect.poll(() => server.watches).toBe(6);
});
afterEach(async () => {
  abort.abort();
  await watching;
  await client.close();
  await server.close();
});

const ownerReferences = (name: string) => [
  { apiVersion: 'greedyinfomax.dev/v1alpha1', kind: 'GreedyInfoMaxRun', name, uid: name },
];
const job = (name: string, run: string) => ({
  metadata: {
    namespace: NAMESPACE,
    name,
    labels: { 'greedyinfomax.dev/run': run },
    ownerReferences: ownerReferences(run),
  },
});
const jobsOf = (run: string) =>
  caches.childrenOf(`${NAMESPACE}/${run}`).jobs.map(({ metadata }) => metadata.name);
const warning = (name: string, about: string, message: string) => ({
  metadata: { namespace: NAMESPACE, name },
  reason: 'FailedCreate',
  message,
  lastTimestamp: '1970-01-01T00:01:00Z',
  involvedObject: { kind: 'Job', namespace: NAMESPACE, name: about, uid: 'u' },
});

it('a run has its own objects, as they come, change hands and go', async () => {
  expect([jobsOf('a'), jobsOf('b'), jobsOf('c')]).toEqual([['a-first'], ['b-first'], []]);
  server.put(JOBS, job('a-second', 'a'));
  await expect.poll(() => jobsOf('a')).toEqual(['a-first', 'a-second']);
  server.put(JOBS, job('a-second', 'c'));
  await expect.poll(() => jobsOf('c')).toEqual(['a-second']);
  expect(jobsOf('a')).toEqual(['a-first']);
  server.remove(JOBS, 'a-first');
  await expect.poll(() => jobsOf('a')).toEqual([]);
});

it('an object without our label is of the run that owns it', async () => {
  const owner = { apiVersion: 'greedyinfomax.dev/v1alpha1', kind: 'GreedyInfoMaxRun', uid: '1' };
  const told: string[] = [];
  caches.onChildChange((run, change, { metadata }) =>
    told.push(`${run} ${change} ${metadata.name}`),
  );
  server.put(MODULES, {
    metadata: { namespace: NAMESPACE, name: 'm', ownerReferences: [{ ...owner, name: 'a' }] },
  });
  server.put(MODULES, { metadata: { namespace: NAMESPACE, name: 'of-nobody' } });
  server.put(MODULES, {
    metadata: { namespace: NAMESPACE, name: 'n', ownerReferences: [{ ...owner, name: 'b' }] },
  });
  await expect.poll(() => caches.childrenOf('team/b').modules).toHaveLength(1);
  expect(caches.childrenOf('team/a').modules).toHaveLength(1);
  expect(told).toEqual([
    'team/a added a-first',
    'team/b added b-first',
    'team/a added m',
    'team/b added n',
  ]);
});

it('warnings about a Job count until they are gone, and its run is looked at for each', async () => {
  const told: string[] = [];
  caches.onWarning((run) => told.push(run));
  const warnings = () =>
    (caches.childrenOf('team/b').warnings.get('Job/b-first') ?? []).map(
      ({ message, at, uid }) => `${message} of ${uid} at ${at}`,
    );
  server.put(WARNINGS, warning('one', 'b-first', 'quota of pods'));
  await expect.poll(warnings).toEqual(['quota of pods of u at 60000']);
  server.put(WARNINGS, {
    ...warning('one', 'b-first', 'quota of pods'),
    series: { lastObservedTime: '1970-01-01T00:02:00.000000Z' },
  });
  await expect.poll(warnings).toEqual(['quota of pods of u at 120000']);
  server.put(WARNINGS, warning('two', 'b-first', 'quota of GPUs'));
  await expect.poll(warnings).toHaveLength(2);
  server.remove(WARNINGS, 'one');
  await expect.poll(warnings).toEqual(['quota of GPUs of u at 60000']);
  server.remove(WARNINGS, 'two');
  await expect.poll(() => told.length).toBe(5);
  expect(warnings()).toEqual([]);
  expect(told).toEqual(Array(5).fill('team/b'));
});

it('keeps a clean-up Job, which no run owns', async () => {
  const labels = { 'greedyinfomax.dev/run': 'a', 'app.kubernetes.io/component': 'cleanup' };
  server.put(JOBS, { metadata: { namespace: NAMESPACE, name: 'a--cleanup-1', labels } } as never);
  await expect.poll(() => jobsOf('a')).toContain('a--cleanup-1');
});

it('objects with our labels that are not ours are not kept, nor what nobody reads of ours', async () => {
  const CONFIG_MAPS = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
  const PODS = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const labels = { 'greedyinfomax.dev/run': 'a' };
  const data = { config: 'x'.repeat(100_000) };
  const of = (name: string, owners: unknown) =>
    ({ metadata: { namespace: NAMESPACE, name, labels, ownerReferences: owners }, data }) as never;
  for (const [name, owners] of [
    ['without-owner', undefined],
    ['of-another', [{ ...ownerReferences('a')[0], apiVersion: 'example.com/v1' }]],
    ['of-nothing', [null]],
    ['odd', 'owner'],
  ] as const) {
    server.put(CONFIG_MAPS, of(name, owners));
    server.put(JOBS, of(name, owners));
    server.put(PODS, of(name, owners));
  }
  const huge = job('huge', 'a');
  server.put(JOBS, { ...huge, spec: { template: 'x'.repeat(200_000) } } as never);
  server.put(CONFIG_MAPS, of('a-first-123', ownerReferences('a')));
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: 'a-first', uid: '1' };
  const placed = {
    nodeName: 'node-1',
    tolerations: [{ key: 'node.kubernetes.io/unreachable', tolerationSeconds: 60 }],
    readinessGates: [{ conditionType: 'x' }],
  };
  server.put(PODS, {
    ...(of('a-first-0', [owner]) as object),
    spec: { ...placed, containers: [{ name: 'trainer', env: data }], volumes: data },
    status: { phase: 'Running', message: data.config },
  } as never);
  // Each kind has a watch of its own.
  await expect
    .poll(() => {
      const { configMaps, pods } = caches.childrenOf('team/a');
      return [configMaps.length, pods.length];
    })
    .toEqual([1, 1]);
  const { jobs, configMaps, pods } = caches.childrenOf('team/a');
  expect(jobs.map(({ metadata }) => metadata.name)).toEqual(['a-first']);
  expect(configMaps.map(({ metadata }) => metadata.name)).toEqual(['a-first-123']);
  expect(configMaps[0]).not.toHaveProperty('data');
  expect(pods[0]).toMatchObject({
    spec: { ...placed, containers: [{ name: 'trainer' }] },
    status: { phase: 'Running' },
  });
  expect(JSON.stringify(pods[0]).length).toBeLessThan(6000);
  // An object whose owner changes to another one is no longer ours.
  server.put(JOBS, { ...job('a-first', 'a'), metadata: { namespace: NAMESPACE, name: 'a-first' } });
  await expect.poll(() => jobsOf('a')).toEqual([]);
});

it('asks for the metadata of ConfigMaps alone', () => {
  const accepts = server.seen
    .filter(({ path }) => path.endsWith('/configmaps'))
    .map(({ accept }) => accept);
  expect(accepts).toEqual([
    'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
  ]);
});
