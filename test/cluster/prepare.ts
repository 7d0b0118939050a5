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

/** What a cluster needs before its first process starts: programs, images, a folder, a number. */

const FOLDER_PREFIX = 'gim-cluster-';

/** Builds and fetches what the cache lacks. */
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

/** Runs a script of this folder: its one line of output; what it tells a person goes to stderr. */
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

/** KUBEBUILDER_ASSETS when it is set, for it is there to save the build; else what the build makes. */
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

/** The folder names the process that will remove it, so that others see when it no longer can. */
const stateFolder = (): string => mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));

/** Removes what a killed process left: with it the kernel ended the cluster, but not folders and cgroups. */
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
