import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_TIMEOUT, type Cluster, startCluster } from '../support/cluster.ts';
import { codeBlocks } from '../support/code-blocks.ts';
import { type HelmVersion, helmBinary } from '../support/helm.ts';

/**
 * Runs the commands of docs/install.md verbatim on a real API server without nodes: pods stay
 * Pending.
 */

const ROOT = resolve(import.meta.dirname, '../..');
const VERSIONS: HelmVersion[] = [3, 4];
const DEFINITIONS = ['greedyinfomaxmodules', 'greedyinfomaxruns'].map(
  (name) => `${name}.greedyinfomax.dev`,
);
const text = readFileSync(join(ROOT, 'docs/install.md'), 'utf8');

let cluster: Cluster;
let folder: string;
const kubectl = (...args: string[]) => cluster.exec('kubectl', ...args);

/** Runs commands with that helm, without hooks: they need running pods. */
const shell = (version: HelmVersion, commands: string) =>
  cluster.exec(
    'bash',
    '-ec',
    `cd ${ROOT}; export PATH=${join(folder, String(version))}:$PATH\n${commands}`,
  );

/** Names of the CRDs on the API server, with the release that owns each. */
async function owners(): Promise<string[][]> {
  const release = '{.metadata.annotations.meta\\.helm\\.sh/release-name}';
  const line = `{range .items[*]}{.metadata.name} ${release}{"\\n"}{end}`;
  const found = await kubectl('get', 'crd', `-o=jsonpath=${line}`);
  return found
    .split('\n')
    .filter(Boolean)
    .map((each) => each.trim().split(' '));
}
const ownedBy = (name?: string) => DEFINITIONS.map((each) => (name ? [each, name] : [each]));

beforeAll(async () => {
  cluster = await startCluster({ nodes: 0 });
  folder = mkdtempSync(join(tmpdir(), 'gim-documented-'));
  for (const version of VERSIONS) {
    const path = join(folder, String(version), 'helm');
    mkdirSync(join(folder, String(version)));
    writeFileSync(
      path,
      `#!/bin/bash\nexport HELM_CACHE_HOME=${folder}/h HELM_CONFIG_HOME=${folder}/h HELM_DATA_HOME=${folder}/h\n` +
        `exec ${await helmBinary(version)} "$@" --no-hooks\n`,
    );
    chmodSync(path, 0o755);
  }
}, CLUSTER_TIMEOUT);

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cluster?.stop();
});

describe.each(VERSIONS)('with helm %i', (version) => {
  const [apply = '', handOver = ''] = codeBlocks(text, 'CRDs');
  const [remove = '', rename = '', clear = ''] = codeBlocks(text, 'Remove');
  const run = async () => (await kubectl('get', 'gimrun', '-o=name')).split('/').at(-1);

  it('CRDs installed by kubectl can move to the release', async () => {
    await shell(version, apply);
    expect(await owners()).toEqual(ownedBy());
    await cluster.crdsEstablished();
    await kubectl('apply', `--filename=${join(ROOT, 'examples/digits.yaml')}`);
    const refused = shell(version, handOver.replace('--take-ownership', ''));
    await expect(refused).rejects.toThrow('invalid ownership metadata');
    await shell(version, handOver);
    expect(await owners()).toEqual(ownedBy('greedy-infomax'));
    expect(await run()).toBe('digits');
  });

  it('CRDs and runs stay when the release gives them up', async () => {
    const [upgrade = ''] = codeBlocks(text, 'Upgrade');
    await shell(version, `${upgrade.trim()} --set crds.install=false`);
    expect(await run()).toBe('digits');
    await shell(version, `${upgrade.trim()} --set crds.install=true --take-ownership`);
    expect(await owners()).toEqual(ownedBy('greedy-infomax'));
  });

  it('an uninstall keeps the CRDs, which a release of another name takes over', async () => {
    await shell(version, remove);
    expect(await owners()).toEqual(ownedBy('greedy-infomax'));
    await expect(shell(version, rename.replace('--take-ownership', ''))).rejects.toThrow(
      'invalid ownership metadata',
    );
    await shell(version, rename);
    expect(await owners()).toEqual(ownedBy('other'));
    await shell(version, 'helm uninstall other --namespace other');
  });

  it('nothing is left when everything is removed', async () => {
    await shell(version, clear);
    expect(await owners()).toEqual([]);
    expect(await kubectl('get', 'namespaces', '-o=name')).not.toContain('greedy-infomax');
  });

  it('the chart installs with the values for OpenShift', async () => {
    const [openshift = ''] = codeBlocks(text, 'Quotas and OpenShift');
    await shell(version, openshift);
    await shell(version, `${remove}\n${clear}`);
  });
});
