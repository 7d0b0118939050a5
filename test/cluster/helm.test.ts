import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { CLUSTER_TIMEOUT, type Cluster, CommandError, startCluster } from '../support/cluster.ts';
import { helm, helmTemplate } from '../support/helm.ts';

const chart = mkdtempSync(join(tmpdir(), 'gim-chart-'));
let cluster: Cluster;

beforeAll(async () => {
  mkdirSync(join(chart, 'templates'));
  writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: small\nversion: 1.2.3\n');
  writeFileSync(join(chart, 'values.yaml'), 'colour: red\n');
  writeFileSync(
    join(chart, 'templates/settings.yaml'),
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: "{{ .Values.colour }}"}\n',
  );
  cluster = await startCluster({ nodes: 0 });
}, CLUSTER_TIMEOUT);
afterAll(async () => {
  await cluster?.stop();
  rmSync(chart, { recursive: true });
});

it('renders a chart without a cluster', async () => {
  const text = await helmTemplate(chart, '--set=colour=blue');
  expect(parse(text)).toMatchObject({ kind: 'ConfigMap', data: { colour: 'blue' } });
});

it('installs, upgrades and removes a release', async () => {
  const colour = () =>
    cluster.exec('kubectl', 'get', 'configmap', 'settings', '--output=jsonpath={.data.colour}');
  await helm(cluster, 'install', 'mine', chart);
  expect(await colour()).toBe('red');
  await helm(cluster, 'upgrade', 'mine', chart, '--set=colour=green');
  expect(await colour()).toBe('green');
  expect(await helm(cluster, 'list')).toContain('small-1.2.3');
  await helm(cluster, 'uninstall', 'mine');
  await expect(colour()).rejects.toThrow('not found');
});

it('fails with what helm said', async () => {
  const failed = helm(cluster, 'upgrade', 'absent', chart);
  await expect(failed).rejects.toThrow(CommandError);
  await expect(failed).rejects.toThrow('absent');
});
