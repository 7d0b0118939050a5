import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/nats.ts';
import { cgroupNames, removeCgroup } from './cgroups.ts';
import { type Layout, MOST_NODES, nodeAddress, nodeLayout } from './layout.ts';
import { takeNumber } from './network.ts';
import { ClusterError } from './processes.ts';

/**
 * Prepares programs, images, a folder and a number before the first process of a cluster starts.
 */

const FOLDER_PREFIX = 'gim-cluster-';

/** Builds and downloads everything that the cache lacks. */
export async function prepare(count: number): Promise<Layout> {
  if (!(count >= 0 && count <= MOST_NODES)) {
    throw new ClusterError(`a test cluster has 0 to ${MOST_NODES} nodes, not ${count}`);
  }
  const binaries = await findBinaries(count);
  if (count === 0) {
    return {
      folder: stateFolder(),
      binaries,
      apiAddress: '127.0.0.1',
      apiPort: await freePort(),
      etcdPort: await freePort(),
      nodes: [],
    };
  }
  const programs = await script('tools.sh');
  const tools = await script('debs.sh');
  const images = await script('images.sh', tools, process.execPath);
  const number = await takeNumber();
  const folder = stateFolder();
  const cgroup = `${FOLDER_PREFIX}${process.pid}`;
  const cluster = { clusterFolder: folder, binaries, programs, tools, images, number, cgroup };
  const nodes = Array.from({ length: count }, (_, index) => nodeLayout(index, cluster));
  return {
    folder,
    binaries,
    apiAddress: nodeAddress(number),
    apiPort: 6443,
    etcdPort: 2379,
    nodes,
  };
}

/** Runs a script of this folder and returns its one line of output; its messages go to stderr. */
export async function script(name: string, ...args: string[]): Promise<string> {
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
  const child = spawn(join(import.meta.dirname, name), args, { stdio });
  let line = '';
  child.stdout.on('data', (chunk: Buffer) => {
    line += chunk.toString();
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new ClusterError(`test/cluster/${name} failed`);
  return line.trim();
}

/**
 * Folder of binaries: KUBEBUILDER_ASSETS if set, which avoids the build; otherwise the output of
 * the build.
 */
async function findBinaries(nodes: number): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (!assets) return script('build.sh');
  const wanted = ['etcd', 'kube-apiserver', 'kubectl'];
  if (nodes > 0) {
    wanted.push('kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy');
  }
  const missing = wanted.filter((name) => !existsSync(join(assets, name)));
  if (missing.length === 0) return assets;
  throw new ClusterError(
    `KUBEBUILDER_ASSETS=${assets} lacks ${missing.join(', ')}: add them, or unset it to build them`,
  );
}

/**
 * Contains the id of the process that removes it, so that others can tell when that process has
 * ended.
 */
const stateFolder = (): string => mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));

/** Removes folders and cgroups of killed keepers; the kernel has ended their processes. */
export async function sweep(): Promise<void> {
  const orphan = (name: string) => {
    const pid = new RegExp(`^${FOLDER_PREFIX}(\\d+)(-|$)`).exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  for (const name of readdirSync(tmpdir()).filter(orphan)) {
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  if (process.getuid?.() !== 0) return;
  for (const name of cgroupNames().filter(orphan)) await removeCgroup(name);
}
