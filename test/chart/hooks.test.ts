import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { script } from '../cluster/prepare.ts';
import { BUILD_TIMEOUT, buildImage } from '../images/container.ts';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { type HelmVersion, helmOf } from '../support/helm.ts';
import { CHART, RELEASE } from './render.ts';

/**
 * Installs the chart with its hooks on a cluster with running pods, in a namespace whose quota
 * counts limits.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const VERSIONS: HelmVersion[] = [3, 4];

let cluster: Cluster;
let folder: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

const values = {
  registry: 'test.local',
  operator: { image: { tag: 'test' } },
  nats: {
    image: { repository: 'test.local/nats', tag: '1' },
    memoryStore: { size: '64Mi' },
    resources: {
      requests: { cpu: '100m', memory: '128Mi' },
      limits: { cpu: '1', memory: '256Mi' },
    },
  },
};

/** Argument that passes these values to helm. Helm 3.17 does not accept an object in --set-json. */
const valuesFile = (of: object, index: number): string => {
  const path = join(folder, `${index}.yaml`);
  writeFileSync(path, JSON.stringify(of));
  return `--values=${path}`;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gim-hooks-'));
  const images = [
    await buildImage('operator'),
    await script('nats-image.sh', join(ROOT, 'node_modules/.bin/nats-server')),
  ];
  cluster = await startCluster({ nodes: 1 });
  for (const image of images) await cluster.importImage(image);
}, CLUSTER_TIMEOUT + BUILD_TIMEOUT);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

describe.each(VERSIONS)('with helm %i', (version) => {
  const namespace = `hooks-${version}`;
  const helm = (command: string, ...args: string[]) =>
    helmOf(version, cluster, command, RELEASE, `--namespace=${namespace}`, ...args);
  const release = (command: string, more: object = {}) =>
    helm(command, CHART, '--wait', '--timeout=120s', ...[values, more].map(valuesFile));
  const jobs = () => kubectl('get', 'jobs', `-n=${namespace}`, '-o=name');

  it('installs, and passes `helm test`, under a quota that counts requests and limits', async () => {
    await kubectl('create', 'namespace', namespace);
    const hard = 'requests.cpu=2,requests.memory=2Gi,limits.cpu=6,limits.memory=4Gi';
    await kubectl('create', 'quota', 'all', `--hard=${hard}`, `--namespace=${namespace}`);
    await release('install');
    expect(await kubectl('get', 'secret', `${RELEASE}-nats-keys`, `-n=${namespace}`)).toContain(
      'Opaque',
    );
    expect(await helm('test', '--logs', '--timeout=120s')).toMatch(
      /Phase: +Succeeded[\s\S]*ok +NATS: JetStream/,
    );
  });

  it('upgrades with different hook pods and leaves no Job behind', async () => {
    await release('upgrade', { hooks: { podLabels: { team: 'vision' } } });
    expect(await jobs()).toBe('');
    expect(await helm('test', '--logs', '--timeout=120s')).toMatch(
      /Phase: +Succeeded[\s\S]*ok +NATS: JetStream/,
    );
  });

  it('is removed', async () => {
    await helm('uninstall', '--wait', '--timeout=60s');
    const kept = 'greedyinfomaxruns.greedyinfomax.dev greedyinfomaxmodules.greedyinfomax.dev';
    await kubectl('delete', 'crd', ...kept.split(' '));
    await kubectl('delete', 'namespace', namespace, '--timeout=60s');
  });
});
