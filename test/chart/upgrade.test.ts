import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { type HelmVersion, helmOf } from '../support/helm.ts';
import { CHART, RELEASE } from './render.ts';

/**
 * Upgrades and repeated installs of the chart on a real API server without nodes: pods stay
 * Pending. Each release has its own namespace and watches only that, so that releases do not share
 * objects.
 */

const NATS = `${RELEASE}-nats`;
const VERSIONS: HelmVersion[] = [3, 4];
const FILES = '--set=nats.fileStore.enabled=true';

let cluster: Cluster;
let folder: string;
/** Chart whose NATS is a StatefulSet with and without files, as before the Deployment. */
let old: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

/** Runs helm without hooks, as no pod runs here, on a release that shares nothing with others. */
const release =
  (version: HelmVersion, namespace: string) =>
  (command: string, chart: string, ...args: string[]) => {
    const own = [`--namespace=${namespace}`, '--no-hooks', '--set=crds.install=false'];
    const apart = [
      `--set=operator.watchNamespaces={${namespace}}`,
      '--set=rbac.aggregate=false',
      '--set=policy.enabled=false',
    ];
    return helmOf(version, cluster, command, RELEASE, chart, ...own, ...apart, ...args);
  };

/** Kinds of the NATS workloads in a namespace. */
async function workloads(namespace: string): Promise<string[]> {
  const labels = '-l=app.kubernetes.io/component=nats';
  const kinds = 'deployments,statefulsets';
  const found = await kubectl('get', kinds, `-n=${namespace}`, labels, '-o=name');
  return found.split('\n').filter(Boolean);
}
const DEPLOYMENT = [`deployment.apps/${NATS}`];
const STATEFUL_SET = [`statefulset.apps/${NATS}`];

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  folder = mkdtempSync(join(tmpdir(), 'gim-upgrade-'));
  old = join(folder, 'old');
  cpSync(CHART, old, { recursive: true });
  rmSync(join(old, 'templates/nats/deployment.yaml'));
  const path = join(old, 'templates/nats/stateful-set.yaml');
  const before = readFileSync(path, 'utf8');
  const text = before
    .replace('{{- if and .Values.nats.fileStore.enabled (not .Values.nats.external.url) }}', '')
    .replace('{{- include "greedy-infomax.checkFileStore" . }}', '')
    .replace('  volumeClaimTemplates:', '  {{- if $store.enabled }}\n  volumeClaimTemplates:');
  expect(text).toContain('$store.enabled');
  writeFileSync(path, text);
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

describe.each(VERSIONS)('helm %i', (version) => {
  const create = async (name: string): Promise<string> => {
    const namespace = `${name}-${version}`;
    await kubectl('create', 'namespace', namespace);
    return namespace;
  };

  it('upgrades NATS without files from a StatefulSet to a Deployment, and rolls back', async () => {
    const namespace = await create('moved');
    const helm = release(version, namespace);
    await helm('install', old);
    expect(await workloads(namespace)).toEqual(STATEFUL_SET);
    await helm('upgrade', CHART);
    expect(await workloads(namespace)).toEqual(DEPLOYMENT);
    const own = [`--namespace=${namespace}`, '--no-hooks'];
    await helmOf(version, cluster, 'rollback', RELEASE, '1', ...own);
    expect(await workloads(namespace)).toEqual(STATEFUL_SET);
  });

  it('upgrades NATS with files in place, with its claim', async () => {
    const namespace = await create('kept');
    const helm = release(version, namespace);
    await helm('install', old, FILES);
    const uid = () =>
      kubectl('get', `-n=${namespace}`, ...STATEFUL_SET, '-o=jsonpath={.metadata.uid}');
    const before = await uid();
    await helm('upgrade', CHART, FILES);
    expect(await uid()).toBe(before);
    expect(await workloads(namespace)).toEqual(STATEFUL_SET);
  });

  it('adds file storage to NATS and removes it by an upgrade', async () => {
    const namespace = await create('switched');
    const helm = release(version, namespace);
    await helm('install', CHART);
    await helm('upgrade', CHART, FILES);
    expect(await workloads(namespace)).toEqual(STATEFUL_SET);
    await expect
      .poll(() => kubectl('get', 'pvc', `-n=${namespace}`, '-o=name'))
      .toContain(`data-${NATS}-0`);
    await helm('upgrade', CHART);
    expect(await workloads(namespace)).toEqual(DEPLOYMENT);
    // The claim stays, so that the change can be reverted.
    expect(await kubectl('get', 'pvc', `-n=${namespace}`, '-o=name')).toContain(`data-${NATS}-0`);
  });

  it.each<[string, string[], string[], RegExp]>([
    ['files for a StatefulSet without a volume', [], [FILES], /has no volume.*delete statefulset/],
    [
      'another size of the volume',
      [FILES],
      [FILES, '--set=nats.fileStore.size=20Gi'],
      /size is 20Gi and the StatefulSet has 10Gi.*expand the claim data-greedy-infomax-nats-0/,
    ],
    [
      'another class of the volume',
      [FILES],
      [FILES, '--set=nats.fileStore.storageClassName=fast'],
      /storageClassName is fast and the StatefulSet has ""/,
    ],
  ])(
    'refuses %s before it changes anything, and says what to do',
    async (what, first, second, message) => {
      const namespace = await create(what.replaceAll(' ', '-').toLowerCase());
      const helm = release(version, namespace);
      await helm('install', old, ...first);
      const state = () =>
        kubectl(
          'get',
          'all,configmaps',
          `-n=${namespace}`,
          '-o=jsonpath={..metadata.uid} {..metadata.generation}',
        );
      const before = await state();
      await expect(helm('upgrade', CHART, ...second, '--set=operator.replicas=2')).rejects.toThrow(
        message,
      );
      expect(await state()).toBe(before);
      await kubectl('delete', 'statefulset', NATS, `-n=${namespace}`);
      await helm('upgrade', CHART, ...second);
      expect(await workloads(namespace)).toEqual(STATEFUL_SET);
    },
  );
});
