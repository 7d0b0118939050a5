import { existsSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  type Component,
  type ControlPlanePart,
  commands,
  isNodePart,
  type NodePart,
} from './components.ts';
import { kubeconfigPath, writeCredentials } from './credentials.ts';
import { hostAddress, type Layout } from './layout.ts';
import type { LinkState } from './link.ts';
import { dropNumber } from './network.ts';
import { TestNode } from './node.ts';
import { prepare, sweep } from './prepare.ts';
import { ClusterError, output, Processes } from './processes.ts';

/** Connection data of a running cluster; plain data, so that it can be sent to another process. */
export interface ClusterFacts {
  kubeconfig: string;
  /** Folders for PATH: kubectl, and with a node ctr. */
  path: string;
  /**
   * State and logs, one NAME.log per component; those of other nodes in folders named after the
   * node.
   */
  folder: string;
  /** Address of this machine that pods can reach; 127.0.0.1 without a node. */
  hostAddress: string;
  /** URL of etcd in the network of node 0 or of this machine; empty for an external cluster. */
  etcdUrl: string;
  /** Process 1 of node 0's namespaces. */
  namespacePid?: number;
  nodes: string[];
  /** Milliseconds from the start until each component was ready. */
  readyAfter: Record<string, number>;
}

export interface ClusterOptions {
  /** Number of nodes, 0 to 4. */
  nodes: number;
  /** Simulated GPUs that each node offers as nvidia.com/gpu. */
  gpus?: number;
}

/** A real Kubernetes cluster: the control plane, and any number of nodes that run containers. */
export class TestCluster {
  facts: ClusterFacts;
  private readonly layout: Layout;
  private readonly processes: Processes;
  private readonly nodes: TestNode[] = [];
  private readonly started = Date.now();

  private constructor(layout: Layout) {
    this.layout = layout;
    this.processes = new Processes(layout.folder);
    const { folder, binaries, nodes } = layout;
    this.facts = {
      kubeconfig: kubeconfigPath(folder, 'admin'),
      path: [binaries, ...nodes.slice(0, 1).map((node) => join(node.tools, 'usr/bin'))].join(
        delimiter,
      ),
      folder,
      etcdUrl: `http://127.0.0.1:${layout.etcdPort}`,
      hostAddress: nodes[0] ? hostAddress(nodes[0].number) : '127.0.0.1',
      nodes: nodes.map(({ name }) => name),
      readyAfter: {},
    };
  }

  /** Builds missing binaries, starts the cluster and resolves when its components are ready. */
  static async start(options: ClusterOptions): Promise<TestCluster> {
    await sweep();
    const cluster = new TestCluster(await prepare(options.nodes));
    try {
      await cluster.open(options.gpus ?? 0);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Kills a component as a crash would; for a component that every node has, on the named node. */
  async kill(component: Component, node = 'node0'): Promise<void> {
    if (isNodePart(component)) await this.node(node).kill(component);
    else await this.processes.kill(component);
  }

  /** Restarts a killed component with its old state and address. */
  async restart(component: Component, node = 'node0'): Promise<void> {
    if (isNodePart(component)) this.node(node).launch(component);
    else this.launch(component);
    if (component === 'kube-apiserver') await this.apiReady();
  }

  /** Ends a node's kubelet and all its containers. The API server is not notified. */
  async killNode(name: string): Promise<void> {
    await this.node(name).crash();
  }

  /** Changes the link between a node and all others. */
  async link(name: string, state: LinkState): Promise<void> {
    const [node0] = this.nodes;
    const node = this.node(name);
    if (!node0 || node === node0) {
      throw new ClusterError(`${name} holds the control plane: change the link of another node`);
    }
    await node.setLink(node0, state);
  }

  /** Adds an image to every node, from a docker or OCI archive. */
  async importImage(archive: string): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.importImage(archive)));
  }

  /** Ends every process and removes all that the cluster created on this machine. */
  async stop(): Promise<void> {
    const { folder, nodes } = this.layout;
    await this.processes.killAll();
    // Runs while node 0 exists: its link is removed with it, and the next link of that name belongs
    // to another cluster.
    if (nodes[0]) await dropNumber(nodes[0].number);
    await Promise.all(this.nodes.map((node) => node.stop()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private async open(gpus: number): Promise<void> {
    const { folder, apiAddress } = this.layout;
    await output(join(import.meta.dirname, 'pki.sh'), [folder, apiAddress]);
    writeCredentials(this.layout);
    for (const layout of this.layout.nodes) {
      this.nodes.push(await TestNode.open(layout, gpus, this.nodes[0]));
    }
    this.facts.namespacePid = this.nodes[0]?.namespace.pid;
    const images = Promise.all(this.nodes.map((node) => node.startContainers()));
    images.catch(() => undefined); // Awaited below.
    await this.startControlPlane();
    await images;
    if (this.nodes.length > 0) await this.startNodes();
  }

  private async startControlPlane(): Promise<void> {
    this.launch('etcd');
    this.launch('kube-apiserver');
    await this.apiReady();
    this.mark('kube-apiserver');
    // Waits for the API server to create the RBAC roles; until then the controller manager is
    // denied access.
    if (this.has('kube-controller-manager')) this.launch('kube-controller-manager');
    if (this.has('kube-scheduler')) this.launch('kube-scheduler');
    if (this.nodes.length > 0) this.launch('dns');
  }

  private async startNodes(): Promise<void> {
    const kubectl = this.kubectl.bind(this);
    await Promise.all(this.nodes.map((node) => node.join(kubectl)));
    this.mark('nodes');
    // Pods are refused until the controller manager has created their service account.
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

  private launch(component: Exclude<Component, NodePart>): void {
    const command = commands(this.layout)[component];
    this.processes.start(component, this.nodes[0]?.namespace.enter(command) ?? command);
  }

  private node(name: string): TestNode {
    const node = this.nodes.find(({ layout }) => layout.name === name);
    if (node) return node;
    const names = this.facts.nodes.join(', ') || 'none';
    throw new ClusterError(`this cluster has no node ${name}; its nodes: ${names}`);
  }

  private has(component: ControlPlanePart): boolean {
    return existsSync(join(this.layout.binaries, component));
  }

  private kubectl(...args: string[]): Promise<string> {
    const program = join(this.layout.binaries, 'kubectl');
    const cache = `--cache-dir=${join(this.layout.folder, 'kubectl-cache')}`;
    return output(program, [`--kubeconfig=${this.facts.kubeconfig}`, cache, ...args]);
  }

  private mark(what: string): void {
    this.facts.readyAfter[what] = Date.now() - this.started;
  }
}
