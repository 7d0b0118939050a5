import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import { CONFIG_MAPS, JOBS, type JobObject, MODULES, type ModuleObject } from './resource.ts';
import { APPLIED_ANNOTATION, Applier } from './server-side-apply.ts';
import { TestApiServer } from './testing/api-server.ts';

const JOBS_PATH = '/apis/batch/v1/namespaces/default/jobs';
const MODULES_PATH = '/apis/greedyinfomax.dev/v1alpha1/namespaces/default/greedyinfomaxmodules';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

async function open() {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  const client = new Client(server.access);
  cleanUp.push(() => client.close());
  return {
    server,
    client,
    applier: new Applier(client),
    writes: () => server.seen.filter(({ method }) => method !== 'GET').length,
  };
}

const job = (completions = 1): JobObject => ({
  metadata: { namespace: 'default', name: 'j', labels: { x: 'y' } },
  spec: {
    completions,
    template: { spec: { containers: [{ name: 'trainer', image: 'i' }], restartPolicy: 'Never' } },
  },
});

const module: ModuleObject = {
  metadata: { namespace: 'default', name: 'run-first' },
  spec: { runName: 'run', index: 0, replicas: 1 },
};

it('makes an object, as this field manager and by force', async () => {
  const { applier, server } = await open();
  const { object, written } = await applier.apply(JOBS, job(), undefined);
  expect(written).toBe(true);
  expect(object.metadata.uid).toBeDefined();
  const [seen] = server.seen;
  expect(seen).toMatchObject({
    path: `${JOBS_PATH}/j`,
    contentType: 'application/apply-patch+yaml',
  });
  expect(Object.fromEntries(seen?.query ?? [])).toEqual({
    fieldManager: 'greedy-infomax',
    force: 'true',
  });
});

it('writes nothing when nothing changed, though others filled fields in', async () => {
  const { applier, server, writes } = await open();
  const { object } = await applier.apply(JOBS, job(), undefined);
  const observed = server.put(JOBS_PATH, {
    ...object,
    spec: { ...object.spec, backoffLimit: 6 },
    status: { active: 1 },
  }) as JobObject;
  const again = await applier.apply(JOBS, job(), observed);
  expect(again).toEqual({ object: observed, written: false });
  expect(writes()).toBe(1);
});

it('writes nothing after a restart either', async () => {
  const { applier, client, writes } = await open();
  const { object } = await applier.apply(JOBS, job(), undefined);
  const { written } = await new Applier(client).apply(JOBS, job(), object);
  expect(written).toBe(false);
  expect(writes()).toBe(1);
});

it('does not write for the sake of what cannot change', async () => {
  const { applier, client } = await open();
  const { object } = await applier.apply(JOBS, job(), undefined);
  const template = { spec: { containers: [], restartPolicy: 'Always' } };
  const other = { ...job(), spec: { ...job().spec, template } } as JobObject;
  for (const each of [applier, new Applier(client)]) {
    expect((await each.apply(JOBS, other, object)).written).toBe(false);
  }
});

it('knows its own writes until another has written', async () => {
  const { applier, client, server } = await open();
  const { object } = await applier.apply(MODULES, module, undefined);
  expect(applier.isOwn(object)).toBe(true);
  expect(new Applier(client).isOwn(object)).toBe(false);
  const meddled = server.put(MODULES_PATH, { ...object }) as unknown as ModuleObject;
  expect(applier.isOwn(meddled)).toBe(false);
  const status = await applier.applyStatus(MODULES, meddled, { replicas: 2 });
  expect(applier.isOwn(status.object)).toBe(true);
  applier.forget(object);
  expect(applier.isOwn(status.object)).toBe(false);
});

it('marks an object again that has lost its mark', async () => {
  const { applier, server } = await open();
  const { object } = await applier.apply(MODULES, module, undefined);
  const metadata = { ...object.metadata, annotations: {} };
  const meddled = server.put(MODULES_PATH, { ...object, metadata }) as unknown as ModuleObject;
  expect((await applier.apply(MODULES, module, meddled)).written).toBe(true);
});

it('writes what is wanted anew, and what others changed back', async () => {
  const { applier, server } = await open();
  const made = await applier.apply(JOBS, job(1), undefined);
  const scaled = await applier.apply(JOBS, job(2), made.object);
  expect(scaled).toMatchObject({ written: true, object: { spec: { completions: 2 } } });
  const meddled = server.put(JOBS_PATH, {
    ...scaled.object,
    spec: { ...scaled.object.spec, completions: 9 },
  }) as JobObject;
  const restored = await applier.apply(JOBS, job(2), meddled);
  expect(restored).toMatchObject({ written: true, object: { spec: { completions: 2 } } });
});

it('writes when a field is no longer wanted, also after a restart', async () => {
  const { applier, client } = await open();
  const { object } = await applier.apply(MODULES, module, undefined);
  const { replicas: _, ...spec } = module.spec;
  const without = { ...module, spec } as ModuleObject;
  expect((await new Applier(client).apply(MODULES, without, object)).written).toBe(true);
});

it('takes what the API server made of a value for what was meant', async () => {
  const { applier, server, writes } = await open();
  const desired = { metadata: { namespace: 'default', name: 'm' }, data: { cpu: '1000m' } };
  const path = '/api/v1/namespaces/default/configmaps';
  server.rewrite = (object) => ({ ...object, data: { cpu: '1' } });
  const { object } = await applier.apply(CONFIG_MAPS, desired, undefined);
  expect(object.data).toEqual({ cpu: '1' });
  expect((await applier.apply(CONFIG_MAPS, desired, object)).written).toBe(false);
  expect(writes()).toBe(1);
  server.rewrite = (each) => each;
  const meddled = server.put(path, { ...object, data: { cpu: '7' } }) as typeof object;
  expect((await applier.apply(CONFIG_MAPS, desired, meddled)).written).toBe(true);
});

it('does not make an object again that was deleted meanwhile', async () => {
  const { applier, server } = await open();
  const { object } = await applier.apply(JOBS, job(1), undefined);
  server.remove(JOBS_PATH, 'j');
  await expect(applier.apply(JOBS, job(2), object)).rejects.toMatchObject({ status: 409 });
  expect(server.read(JOBS_PATH, 'j')).toBeUndefined();
});

it('marks objects with what was applied, without a trace in what was passed in', async () => {
  const { applier } = await open();
  const desired = job();
  const { object } = await applier.apply(JOBS, desired, undefined);
  expect(object.metadata.annotations?.[APPLIED_ANNOTATION]).toMatch(/^[0-9a-f]{16}$/);
  expect(desired).toEqual(job());
});

it('writes status only when it differs', async () => {
  const { applier, server, writes } = await open();
  const observed = server.put(MODULES_PATH, { ...module }) as unknown as ModuleObject;
  const first = await applier.applyStatus(MODULES, observed, { replicas: 2, loss: undefined });
  expect(first).toMatchObject({ written: true, object: { status: { replicas: 2 } } });
  const second = await applier.applyStatus(MODULES, first.object, { replicas: 2 });
  expect(second.written).toBe(false);
  expect((await applier.applyStatus(MODULES, second.object, { replicas: 3 })).written).toBe(true);
  expect(writes()).toBe(2);
  expect(server.seen.every(({ path }) => path.endsWith('/run-first/status'))).toBe(true);
});

it('writes status again after conflicts', async () => {
  const { applier, server } = await open();
  const observed = server.put(MODULES_PATH, { ...module }) as unknown as ModuleObject;
  server.fail({ status: 409 }, undefined, 3);
  const { object } = await applier.applyStatus(MODULES, observed, { replicas: 2 });
  expect(object.status).toEqual({ replicas: 2 });
});

it('gives conflicts that do not end to the caller', async () => {
  const { applier, server, writes } = await open();
  const observed = server.put(MODULES_PATH, { ...module }) as unknown as ModuleObject;
  server.fail({ status: 409 }, undefined, 1000);
  const writing = applier.applyStatus(MODULES, observed, { replicas: 2 });
  await expect(writing).rejects.toMatchObject({ status: 409 });
  expect(writes()).toBe(4);
});
