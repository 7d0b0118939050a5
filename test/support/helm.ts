import { execFile } from 'node:child_process';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Cluster } from './cluster.ts';

/** helm for tests, of a pinned version, with homes of its own. */

const run = promisify(execFile);
const HELM_SCRIPT = resolve(import.meta.dirname, '../cluster/helm.sh');

let binary: Promise<string> | undefined;

/** Path of helm; it is fetched when the cache has none. */
export function helmBinary(): Promise<string> {
  binary ??= run(HELM_SCRIPT).then(({ stdout }) => stdout.trim());
  return binary;
}

/** Runs helm against a cluster; resolves with its output, rejects with CommandError. */
export async function helm(cluster: Cluster, ...args: string[]): Promise<string> {
  const settings = Object.entries(await homes()).map(([name, value]) => `${name}=${value}`);
  return cluster.exec('env', ...settings, await helmBinary(), ...args);
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

/** Beside its binary, where no plugins or repositories of the user's are. */
async function homes(): Promise<Record<string, string>> {
  const home = join(dirname(await helmBinary()), 'home');
  return {
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
  };
}
