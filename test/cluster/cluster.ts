import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '../support/nats.ts';
import { type Component, commands } from './components.ts';
import { kubeconfigPath, writeCredentials } from './credentials.ts';
import { hostAddress, type Layout, NODE_NAME, type NodeLayout, nodeAddress } from './layout.ts';
import {
  cgroupNames,
  dropNumber,
  makeCgroup,
  type Namespace,
  openNamespace,
  removeCgroup,
  takeNumber,
} from './namespace.ts';
import { containerdSocket, writeNodeFiles } from './node-files.ts';
import { ClusterError, output, Processes } from './processes.ts';

/** What others need to use a cluster that runs; plain data, so that it can cross to another process. */
export interface ClusterFacts {
  kubeconfig: string;
  /** Folders for PATH: kubectl, and ctr with a node. */
  path: string;
  /** State and logs, one NAME.log for each part. */
  folder: string;
  /** Address of this machine that pods can reach; 127.0.0.1 without a node. */
  hostAddress: string;
  /** Where etcd answers, for those that this machine's loopback is; empty if the cluster is not ours. */
  etcdUrl: string;
  /** Process 1 of the node's namespaces. */
  namespacePid?: number;
  /** Milliseconds from the start until each thing was ready. */
  readyAfter: Record<string, number>;
}

export interface ClusterOptions {
  nodes: 0 | 1;
  /** Pretend GPUs that the node offers as nvidia.com/gpu. */
  gpus?: number;
}

const FOLDER_PREFIX = 'gim-cluster-';

/** A real Kubernetes cluster: the control plane, and a node on which containers run if one is asked for. */
export class TestCluster {
  facts: ClusterFacts;
  private readonly layout: Layout;
  private readonly processes: Processes;
  private namespace: Namespace | undefined;
  private readonly started = Date.now();

  private constructor(layout: Layout) {
    this.layout = layout;
    this.processes = new Processes(layout.folder);
    const { folder, binaries, node } = layout;
    this.facts = {
      kubeconfig: kubeconfigPath(folder, 'admin'),
      path: [binaries, ...(node ? [join(node.tools, 'usr/bin')] : [])].join(delimiter),
      folder,
      hostAddress: node ? hostAddress(node.number) : '127.0.0.1',
      etcdUrl: `http://127.0.0.1:${layout.etcdPort}`,
      readyAfter: {},
    };
  }

  /** Builds what is missing, starts the cluster and resolves when its parts are ready. */
  static async start(options: ClusterOptions): Promise<TestCluster> {
    await sweep();
    const cluster = new TestCluster(await prepare(options));
    try {
      await cluster.startControlPlane();
      if (cluster.layout.node) await cluster.startNode(cluster.layout.node, options.gpus ?? 0);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Kills a part at once, as a crash would. */
  kill(component: Component): Promise<void> {
    return this.processes.kill(component);
  }

  /** Starts a part again that was killed, with its old state and address. */
  async restart(component: Component): Promise<void> {
    this.launch(component);
    if (component === 'kube-apiserver') await this.apiReady();
  }

  /** Ends every process and removes all that the cluster made on this machine. */
  async stop(): Promise<void> {
    const { folder, node } = this.layout;
    await this.processes.killAll();
    if (node) {
      await dropNumber(node.number);
      await removeCgroup(node.cgroup);
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private async startControlPlane(): Promise<void> {
    const { folder, node, apiAddress } = this.layout;
    await output(join(import.meta.dirname, 'pki.sh'), [folder, apiAddress]);
    writeCredentials(this.layout);
    if (node) {
      const pause = join(node.images, 'pause');
      this.namespace = await openNamespace(this.processes, folder, pause, node.number);
      this.facts.namespacePid = this.namespace.pid;
      makeCgroup(node.cgroup);
      writeNodeFiles(this.layout, node);
      this.launch('containerd');
    }
    this.launch('etcd');
    this.launch('kube-apiserver');
    await this.apiReady();
    this.mark('kube-apiserver');
    // Not before: until the API server has made the RBAC roles, the controller manager is forbidden to start.
    if (this.has('kube-controller-manager')) this.launch('kube-controller-manager');
    if (this.has('kube-scheduler')) this.launch('kube-scheduler');
  }

  private async startNode(node: NodeLayout, gpus: number): Promise<void> {
    const { folder } = this.layout;
    const ctr = (...args: string[]) =>
      this.inside(join(node.tools, 'usr/bin/ctr'), '--address', containerdSocket(folder), ...args);
    await this.processes.until('containerd', 'answers', () => ctr('version'));
    for (const image of ['pause.tar', 'node.tar']) {
      await ctr('--namespace=k8s.io', 'images', 'import', join(node.images, image));
    }
    this.mark('images');
    this.launch('kubelet');
    this.launch('kube-proxy');
    const condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
    await this.processes.until('kubelet', 'node is ready', async () => {
      if ((await this.kubectl('get', 'node', NODE_NAME, '-o', condition)) !== 'True') {
        throw new Error('the node is not ready');
      }
    });
    if (gpus > 0) {
      const path = '/status/capacity/nvidia.com~1gpu';
      const patch = JSON.stringify([{ op: 'add', path, value: String(gpus) }]);
      const target = ['node', NODE_NAME, '--subresource=status', '--type=json', '--patch', patch];
      await this.kubectl('patch', ...target);
    }
    this.mark('node');
    // Pods are refused until the controller manager has made the account that they run as.
    await this.processes.until('kube-controller-manager', 'default account', () =>
      this.kubectl('get', 'serviceaccount', 'default'),
    );
    this.mark('pods');
  }

  private async apiReady(): Promise<void> {
    await this.processes.until('kube-apiserver', 'ready', () =>
      this.kubectl('get', '--raw=/readyz', '--request-timeout=5s'),
    );
  }

  private launch(component: Component): void {
    const command = commands(this.layout)[component];
    const { node } = this.layout;
    const paths = node ? ['usr/bin', 'usr/sbin'].map((name) => join(node.tools, name)) : [];
    const env = {
      ...process.env,
      PATH: [...paths, process.env.PATH].join(delimiter),
      ...(node && { LD_LIBRARY_PATH: join(node.tools, 'usr/lib/x86_64-linux-gnu') }),
    };
    this.processes.start(component, this.namespace ? this.namespace.enter(command) : command, env);
  }

  private has(component: Component): boolean {
    return existsSync(join(this.layout.binaries, component));
  }

  private kubectl(...args: string[]): Promise<string> {
    const program = join(this.layout.binaries, 'kubectl');
    const cache = `--cache-dir=${join(this.layout.folder, 'kubectl-cache')}`;
    return output(program, [`--kubeconfig=${this.facts.kubeconfig}`, cache, ...args]);
  }

  private inside(...command: string[]): Promise<string> {
    const [program = '', ...args] = this.namespace?.enter(command) ?? command;
    return output(program, args);
  }

  private mark(what: string): void {
    this.facts.readyAfter[what] = Date.now() - this.started;
  }
}

/** Runs a script of this folder: its one line of output; what it tells a person goes to stderr. */
async function script(name: string, ...args: string[]): Promise<string> {
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

async function prepare(options: ClusterOptions): Promise<Layout> {
  const binaries = await findBinaries(options);
  if (options.nodes === 0) {
    return {
      folder: stateFolder(),
      binaries,
      apiAddress: '127.0.0.1',
      apiPort: await freePort(),
      etcdPort: await freePort(),
    };
  }
  const tools = await script('debs.sh');
  const images = await script('images.sh', tools, process.execPath);
  const number = await takeNumber();
  const folder = stateFolder();
  const node = { tools, images, number, cgroup: `${FOLDER_PREFIX}${process.pid}` };
  const apiAddress = nodeAddress(number);
  return { folder, binaries, apiAddress, apiPort: 6443, etcdPort: 2379, node };
}

/** KUBEBUILDER_ASSETS when it is set, for it is there to save the build; else what the build makes. */
async function findBinaries(options: ClusterOptions): Promise<string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (!assets) return script('build.sh');
  const wanted = ['etcd', 'kube-apiserver', 'kubectl'];
  if (options.nodes > 0) {
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
async function sweep(): Promise<void> {
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
