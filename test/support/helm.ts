import { execFile } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from './cluster.ts';

/** Runs helm in tests, in pinned versions and with separate home folders. */

/** Major versions of helm used by the tests. */
export type HelmVersion = 3 | 4;

const run = promisify(execFile);
const HELM_SCRIPT = resolve(import.meta.dirname, '../cluster/helm.sh');

const binaries = new Map<HelmVersion, Promise<string>>();

/** Path of helm; downloaded if the cache has none. */
export function helmBinary(version: HelmVersion = 4): Promise<string> {
  const known = binaries.get(version);
  if (known) return known;
  const found = run(HELM_SCRIPT, [String(version)]).then(({ stdout }) => stdout.trim());
  binaries.set(version, found);
  return found;
}

/** Runs helm 4 against a cluster; resolves with its output, rejects with CommandError. */
export const helm = (cluster: Cluster, ...args: string[]): Promise<string> =>
  helmOf(4, cluster, ...args);

/** Runs helm of a version against a cluster; resolves with its output, rejects with CommandError. */
export async function helmOf(
  version: HelmVersion,
  cluster: Cluster,
  ...args: string[]
): Promise<string> {
  const settings = Object.entries(await homes()).map(([name, value]) => `${name}=${value}`);
  return cluster.exec('env', ...settings, await helmBinary(version), ...args);
}

/** `helm template`: the manifests of a chart as YAML text; needs no cluster. */
export async function helmTemplate(chart: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, ...(await homes()), KUBECONFIG: '/dev/null' };
  const { stdout } = await run(await helmBinary(), ['template', chart, ...args], {
    env,
    maxBuffer: 64 * 2 ** 20,
  });
  return stdout;
}

/** A folder beside the binary, without the user's plugins and repositories. */
async function homes(): Promise<Record<string, string>> {
  const home = join(dirname(await helmBinary()), 'home');
  return {
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
  };
}
