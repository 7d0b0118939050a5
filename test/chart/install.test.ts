import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { script } from '../cluster/prepare.ts';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { codeBlocks } from '../support/code-blocks.ts';
import { helm } from '../support/helm.ts';
import { CHART, manifest, NAMESPACE, RELEASE } from './render.ts';

/**
 * Installs the chart on a real API server. Hooks are left out: they need running pods, and this
 * cluster has none.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const combinations = readdirSync(join(CHART, 'ci')).map((name) => name.replace('.yaml', ''));
/** Service account of the pod that `helm test` starts. */
const ACCOUNT = `${RELEASE}-install-check`;
const RUNS = 'greedyinfomaxruns.greedyinfomax.dev';

let cluster: Cluster;
let folder: string;
/** Folder with CRDs of Kueue, KEDA, cert-manager and the Prometheus operator. */
let foreign: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);
const release = (command: string, chart: string, ...args: string[]) =>
  helm(cluster, command, RELEASE, chart, `--namespace=${NAMESPACE}`, '--no-hooks', ...args);

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  folder = mkdtempSync(join(tmpdir(), 'gim-chart-'));
  for (const name of [NAMESPACE, 'team-a', 'team-b']) await kubectl('create', 'namespace', name);
  // The API server refuses a pod whose service account is missing, and a dry run does not create
  // it.
  await kubectl('create', 'serviceaccount', ACCOUNT, `--namespace=${NAMESPACE}`);
  foreign = await script('foreign-crds.sh');
  await kubectl('apply', '--server-side', `--filename=${foreign}`);
  await cluster.crdsEstablished();
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

it.each(['default', ...combinations])(
  'the API server accepts every object of the values %s and knows all their fields',
  async (name) => {
    const file = join(folder, `${name}.yaml`);
    const text = await manifest(...(name === 'default' ? [] : [name]));
    writeFileSync(file, text);
    const said = await kubectl(
      ...['apply', '--server-side', '--dry-run=server', '--validate=strict'],
      `--filename=${file}`,
    );
    const objects = text.match(/^kind: /gm) ?? [];
    expect(said.split('\n').filter((line) => line.includes('(server dry run)'))).toHaveLength(
      objects.length,
    );
    expect(said).not.toMatch(/warning/i);
  },
);

describe('a release', () => {
  beforeAll(async () => {
    await kubectl('delete', 'serviceaccount', ACCOUNT, `--namespace=${NAMESPACE}`);
  });

  it('upgrades the definitions with the chart while runs are active', async () => {
    // A chart of an older version, whose definition lacks a column.
    const old = join(folder, 'old');
    cpSync(CHART, old, { recursive: true });
    const file = join(old, 'files/crds/greedyinfomaxruns.yaml');
    const text = readFileSync(file, 'utf8');
    const column = /^ {8}- name: Percent\n(?: {10}.*\n)+/m;
    expect(text).toMatch(column);
    writeFileSync(file, text.replace(column, ''));

    await release('install', old);
    await cluster.crdsEstablished();
    await kubectl('apply', `--filename=${join(ROOT, 'examples/digits.yaml')}`);
    const columns = ['get', 'crd', RUNS, '-o=jsonpath={..additionalPrinterColumns[*].name}'];
    expect(await kubectl(...columns)).not.toContain('Percent');
    const uid = await kubectl('get', 'gimrun', 'digits', '-o=jsonpath={.metadata.uid}');

    await release('upgrade', CHART, '--set=operator.replicas=2');
    expect(await kubectl(...columns)).toContain('Percent');
    expect(await kubectl('get', 'gimrun', 'digits', '-o=jsonpath={.metadata.uid}')).toBe(uid);
  });

  it('prints the next steps for the given values', async () => {
    const notes = await helm(cluster, 'get', 'notes', RELEASE, `--namespace=${NAMESPACE}`);
    expect(notes).toContain(`helm --namespace ${NAMESPACE} test ${RELEASE}`);
    expect(notes).toContain('kubectl apply --filename examples/digits-cluster.yaml');
    expect(notes).toContain(`nats://greedy-infomax-nats.${NAMESPACE}.svc:4222`);
    expect(notes).not.toContain('WARNING');
    const open = await release('upgrade', CHART, '--values', join(CHART, 'ci/open.yaml'));
    expect(open).toContain('WARNING: nats.auth.enabled is false');
  });

  it('gives users the rights to runs that their cluster roles give them to other objects', async () => {
    const may = async (role: string, verb: string, ...what: string[]) => {
      const as = [`--as=${role}-user`, '--namespace=team-a', '--quiet'];
      return kubectl('auth', 'can-i', verb, ...what, ...as).then(
        () => true,
        () => false,
      );
    };
    for (const role of ['view', 'edit', 'admin']) {
      const binding = ['create', 'rolebinding', role, `--clusterrole=${role}`];
      await kubectl(...binding, `--user=${role}-user`, '--namespace=team-a');
    }
    const [run, module] = ['greedyinfomaxruns', 'greedyinfomaxmodules'].map(
      (name) => `${name}.greedyinfomax.dev`,
    ) as [string, string];
    // The controller manager aggregates the rules shortly after the roles are created.
    await expect.poll(() => may('view', 'list', run)).toBe(true);
    await expect.poll(() => may('admin', 'delete', module)).toBe(true);
    expect(await may('view', 'create', run)).toBe(false);
    expect(await may('edit', 'create', run)).toBe(true);
    expect(await may('edit', 'get', run)).toBe(true);
    expect(await may('edit', 'patch', module, '--subresource=scale')).toBe(true);
    expect(await may('edit', 'patch', module)).toBe(false);
    expect(await may('edit', 'update', run, '--subresource=status')).toBe(false);
    expect(await may('admin', 'create', run)).toBe(true);
  });

  it('leaves the definitions and the runs on uninstall, and adopts them on reinstall', async () => {
    await helm(cluster, 'uninstall', RELEASE, `--namespace=${NAMESPACE}`, '--no-hooks');
    expect(await kubectl('get', 'gimrun', 'digits', '-o=name')).toContain('digits');
    expect(await kubectl('get', 'deployments', `--namespace=${NAMESPACE}`, '-o=name')).toBe('');
    await release('install', CHART);
    expect(await kubectl('get', 'gimrun', 'digits', '-o=name')).toContain('digits');
  });
});

describe('examples with objects of other projects', () => {
  const example = (name: string) => readFileSync(join(ROOT, 'examples', name), 'utf8');
  const guide = readFileSync(join(ROOT, 'docs/install.md'), 'utf8');

  /** Newest version of each kind, the one its CRD stores, by group and kind. */
  const newest = (): Map<string, string> =>
    new Map(
      readdirSync(foreign).map((name) => {
        const documents = parseAllDocuments(readFileSync(join(foreign, name), 'utf8'));
        const [{ spec }] = documents.map((document) => document.toJS()).filter(Boolean);
        const stored = spec.versions.find(({ storage }: { storage: boolean }) => storage);
        return [`${spec.group}/${spec.names.kind}`, stored.name];
      }),
    );

  it.each<[string, () => string | Promise<string>, string[]]>([
    [
      'the queue of install.md',
      () => codeBlocks(guide, 'Kueue', 'yaml').join('---\n'),
      ['ResourceFlavor', 'ClusterQueue', 'LocalQueue'],
    ],
    ['examples/keda.yaml', () => example('keda.yaml'), ['ScaledObject']],
    ['examples/hpa.yaml', () => example('hpa.yaml'), []],
    ['examples/kueue.yaml', () => example('kueue.yaml'), []],
    [
      'monitoring and certificates of the chart',
      async () =>
        (await Promise.all([manifest('monitoring'), manifest('tls-by-cert-manager')])).join(
          '\n---\n',
        ),
      ['PodMonitor', 'PrometheusRule', 'Certificate', 'Issuer'],
    ],
  ])('%s are taken in the newest version', async (what, text, kinds) => {
    await kubectl('create', 'namespace', 'greedy-infomax').catch(() => undefined); // May exist.
    const file = join(folder, 'example.yaml');
    writeFileSync(file, await text());
    if (!what.startsWith('monitoring')) {
      const strict = ['--server-side', '--dry-run=server', '--validate=strict'];
      await kubectl('apply', ...strict, `--filename=${file}`);
    }
    const versions = newest();
    const found = parseAllDocuments(readFileSync(file, 'utf8')).flatMap((document) => {
      const { apiVersion, kind } = document.toJS() ?? {};
      const [group, version] = String(apiVersion).split('/');
      const wanted = versions.get(`${group}/${kind}`);
      if (wanted !== undefined) expect(version, kind).toBe(wanted);
      return wanted === undefined ? [] : [kind];
    });
    expect([...new Set(found)].toSorted()).toEqual(kinds.toSorted());
  });
});
