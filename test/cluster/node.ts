import { mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { killCgroup, makeCgroup, removeCgroup } from './cgroups.ts';
import { type NodePart, nodeCommands } from './components.ts';
import type { NodeLayout } from './layout.ts';
import { type LinkState, setLinkEnd } from './link.ts';
import { type Namespace, openNamespace } from './namespace.ts';
import { connectToHost, connectToNode0 } from './network.ts';
import { containerdSocket, writeNodeFiles } from './node-files.ts';
import { ClusterError, output, Processes } from './processes.ts';

/** A node that runs containers: containerd, kubelet and kube-proxy in their own namespaces. */
export class TestNode {
  readonly layout: NodeLayout;
  readonly namespace: Namespace;
  private readonly processes: Processes;
  private readonly gpus: number;

  private constructor(
    layout: NodeLayout,
    gpus: number,
    processes: Processes,
    namespace: Namespace,
  ) {
    this.layout = layout;
    this.gpus = gpus;
    this.processes = processes;
    this.namespace = namespace;
  }

  /** Opens the node's namespaces and creates its link: to this machine, or to node 0. */
  static async open(layout: NodeLayout, gpus: number, node0?: TestNode): Promise<TestNode> {
    mkdirSync(join(layout.folder, 'sick-gpus'), { recursive: true });
    const processes = new Processes(layout.folder);
    const processOne = join(layout.images, 'pause');
    const namespace = await openNamespace(processes, layout.folder, processOne);
    const node = new TestNode(layout, gpus, processes, namespace);
    if (node0) await connectToNode0(node0.namespace, namespace, layout);
    else await connectToHost(namespace, layout.number);
    makeCgroup(layout.cgroup);
    writeNodeFiles(layout);
    return node;
  }

  /** Starts containerd with the images that all tests need; works without an API server. */
  async startContainers(): Promise<void> {
    this.launch('containerd');
    await this.processes.until('containerd', 'answers', () => this.ctr('version'));
    for (const image of ['pause.tar', 'node.tar']) {
      await this.importImage(join(this.layout.images, image));
    }
  }

  /** Joins the cluster; resolves when pods can run and all GPUs are offered. */
  async join(kubectl: (...args: string[]) => Promise<string>): Promise<void> {
    this.launch('kubelet');
    this.launch('kube-proxy');
    if (this.gpus > 0) this.launch('gpus');
    await this.processes.until('kubelet', 'node is ready', async () => {
      const { status } = JSON.parse(await kubectl('get', 'node', this.layout.name, '-o=json'));
      const ready = status.conditions.find(({ type }: { type: string }) => type === 'Ready');
      const gpus = Number(status.allocatable['nvidia.com/gpu'] ?? 0);
      if (ready?.status !== 'True' || gpus !== this.gpus) {
        throw new ClusterError(
          `${this.layout.name} is not ready: ${ready?.message}, ${gpus} of ${this.gpus} GPUs`,
        );
      }
    });
  }

  /** Imports an image from a docker or OCI archive, as a pull would. */
  async importImage(archive: string): Promise<void> {
    await this.ctr('--namespace=k8s.io', 'images', 'import', archive);
  }

  launch(part: NodePart): void {
    const { tools } = this.layout;
    const paths = ['usr/bin', 'usr/sbin'].map((name) => join(tools, name));
    const env = {
      ...process.env,
      PATH: [...paths, process.env.PATH].join(delimiter),
      LD_LIBRARY_PATH: join(tools, 'usr/lib/x86_64-linux-gnu'),
    };
    const command = nodeCommands(this.layout, this.gpus)[part];
    this.processes.start(part, this.namespace.enter(command), env);
  }

  kill(part: NodePart): Promise<void> {
    return this.processes.kill(part);
  }

  /** Ends all that belongs to the node alone, and every container, as a power loss would. */
  async crash(): Promise<void> {
    // Node 0's namespaces also hold the control plane, which continues; those of other nodes end.
    const parts = ['kubelet', 'gpus', 'kube-proxy', 'containerd'];
    if (this.layout.index === 0) await Promise.all(parts.map((name) => this.processes.kill(name)));
    else await this.processes.killAll();
    killCgroup(this.layout.cgroup);
  }

  /** Changes the link between this node and node 0. */
  async setLink(node0: TestNode, state: LinkState): Promise<void> {
    const { programs, name } = this.layout;
    const far = { namespace: this.namespace, processes: this.processes, device: 'eth0' };
    const near = { namespace: node0.namespace, processes: node0.processes, device: name };
    await Promise.all([setLinkEnd(far, programs, state), setLinkEnd(near, programs, state)]);
  }

  async stop(): Promise<void> {
    await this.processes.killAll();
    await removeCgroup(this.layout.cgroup);
  }

  private ctr(...args: string[]): Promise<string> {
    const program = join(this.layout.tools, 'usr/bin/ctr');
    const address = containerdSocket(this.layout.folder);
    const [enter = '', ...rest] = this.namespace.enter([program, '--address', address, ...args]);
    return output(enter, rest);
  }
}
