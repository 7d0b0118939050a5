import { definitions } from '@greedy-infomax/crds/definitions';
import pino from 'pino';
import { afterEach, expect, it } from 'vitest';
import { Client } from '../kube/client.ts';
import type { CrdObject } from '../kube/resource.ts';
import { TestApiServer } from '../kube/testing/api-server.ts';
import { CrdVersions, crdProblem, missingFields } from './crd-versions.ts';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

const PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
type Node = { properties: Record<string, Node>; items: Node };
const [RUN, MODULE] = definitions() as CrdObject[] as [CrdObject, CrdObject];
/** Returns the CRD of an earlier version. */
function older(crd: CrdObject): CrdObject {
  const copy = structuredClone(crd);
  const schema = copy.spec.versions[0]?.schema?.openAPIV3Schema as Node;
  delete schema.properties.status?.properties.ready;
  delete schema.properties.spec?.properties.modules?.items.properties.replicas;
  return copy;
}

it('finds nothing where schemas are equal, or the cluster knows more', () => {
  expect(crdProblem(RUN, RUN)).toBeUndefined();
  expect(crdProblem(older(RUN), RUN)).toBeUndefined();
});

it('names the fields that the CRD lacks, and the command that mends it', () => {
  const problem = crdProblem(RUN, older(RUN));
  expect(problem).toMatch(/^CRD greedyinfomaxruns\.greedyinfomax\.dev is older than the operator/);
  expect(problem).toContain('it lacks spec.modules[].replicas, status.ready;');
  expect(problem).toContain('--filename=crds/greedyinfomaxruns.yaml');
  expect(crdProblem(MODULE, undefined)).toMatch(/is not installed; apply the CRDs/);
  const unserved = structuredClone(RUN);
  for (const version of unserved.spec.versions) version.served = false;
  expect(crdProblem(RUN, unserved)).toContain('does not serve version v1alpha1');
});

it('looks into lists and maps, but not where all fields are kept', () => {
  const inner = { properties: { a: {}, b: {} } };
  const lacking = { properties: { a: {} } };
  expect(missingFields({ items: inner }, { items: lacking }, 'l')).toEqual(['l[].b']);
  const maps = [{ additionalProperties: inner }, { additionalProperties: lacking }] as const;
  expect(missingFields(...maps, 'm')).toEqual(['m.*.b']);
  expect(missingFields(inner, { 'x-kubernetes-preserve-unknown-fields': true })).toEqual([]);
});

async function watching(...crds: CrdObject[]) {
  const server = await TestApiServer.open();
  cleanUp.push(() => server.close());
  for (const crd of crds) server.put(PATH, crd as never);
  const client = new Client(server.access);
  cleanUp.push(() => client.close());
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  const versions = new CrdVersions(client, log);
  const stop = new AbortController();
  const start = () => {
    const running = versions.watch(stop.signal);
    cleanUp.push(async () => {
      stop.abort();
      await running;
    });
    return running;
  };
  return { server, versions, lines, start };
}

it('is no problem again once the CRD is updated, and says each thing once', async () => {
  const { server, versions, lines, start } = await watching(older(RUN), MODULE);
  expect(versions.problem).toBeDefined();
  void start();
  await expect.poll(() => versions.problem).toContain('status.ready');
  server.put(PATH, RUN as never);
  await expect.poll(() => versions.problem, { timeout: 60_000 }).toBeUndefined();
  expect(lines.filter((line) => line.includes('it lacks'))).toHaveLength(1);
}, 90_000);

it('goes on, and says so once, without the right to read CRDs', async () => {
  const { server, versions, lines, start } = await watching(older(RUN));
  server.fail({ status: 403 }, () => true, Number.POSITIVE_INFINITY);
  await start();
  expect(versions.problem).toBeUndefined();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('no right to get them');
});
