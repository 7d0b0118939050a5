import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { ClusterFacts, ClusterOptions } from '../cluster/cluster.ts';
import type { Component } from '../cluster/components.ts';
import type { LinkState } from '../cluster/link.ts';
import type { Answer, Order } from '../cluster/orders.ts';
import { volumeClaim } from './volume-claim.ts';

/** A real Kubernetes cluster, for tests. */

export interface Cluster extends ClusterFacts {
  /** Runs a command with kubectl on PATH and KUBECONFIG set, in the network of node0 if there is one; resolves with its output. */
  exec(...command: string[]): Promise<string>;
  /** `kubectl apply -f -` of YAML or JSON text. */
  apply(text: string): Promise<string>;
  /** Kills a part of the cluster at once; `node` says whose part, of those that each node has. */
  kill(component: Component, node?: string): Promise<void>;
  /** Starts a killed part again; resolves when an API server is ready. */
  restart(component: Component, node?: string): Promise<void>;
  /** Kills the API server and starts it again; resolves when it is ready. */
  restartApiServer(): Promise<void>;
  /** Kills the kubelet of a node and all its containers; the API server finds out by itself. */
  killNode(node: string): Promise<void>;
  /**
   * Cuts, delays or narrows the cable between a node and all others, the control plane too; `{}` makes it
   * whole again. Not node0, which holds the control plane.
   */
  link(node: string, state: LinkState): Promise<void>;
  /** Adds an image to every node, from a docker or OCI archive. */
  importImage(archive: string): Promise<void>;
  /**
   * Makes a claim that pods on all nodes may mount and trainers may write to, and resolves when it is bound,
   * with the folder of this machine that it stands for.
   */
  volumeClaim(namespace: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

/** A command in the cluster failed; the message holds all it said. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Longest time to a cluster whose binaries must be built first, for `beforeAll`. */
export const CLUSTER_TIMEOUT = 40 * 60_000;

/** The image that a node starts with: Node.js, a shell, the system libraries of libtensorflow. */
export const NODE_IMAGE = 'test.local/node:1';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = process.env.GREEDY_INFOMAX_CACHE ?? join(homedir(), '.cache/greedy-infomax');

/**
 * Volumes of a pod template that put this checkout into NODE_IMAGE, at its working directory, so that it
 * runs trainers. libtensorflow is linked to by its path in the cache: it must stand at the same path.
 */
export const CHECKOUT_VOLUMES = [
  { name: 'checkout', hostPath: { path: ROOT }, mountPath: '/app', readOnly: true },
  { name: 'cache', hostPath: { path: CACHE }, mountPath: CACHE, readOnly: true },
];

/**
 * Starts a cluster of its own for the caller, with RBAC on; several at once are fine. Without nodes
 * it has the whole control plane, and pods stay Pending; with nodes, containers run for real, and Services
 * have addresses and names.
 *
 * A keeper process holds the cluster and removes it when this process ends, however it ends.
 * GIM_TEST_KUBECONFIG names a cluster to use instead; nothing is started or stopped then.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const given = process.env.GIM_TEST_KUBECONFIG;
  if (given) return clusterAt(given);

  const main = join(ROOT, 'test/cluster/main.ts');
  const args = [main, 'serve', `--nodes=${options.nodes}`, `--gpus=${options.gpus ?? 0}`];
  const keeper = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(keeper, 'exit');
  keeper.stdin.on('error', () => undefined); // a keeper that ended: its answer fails
  const lines = createInterface({ input: keeper.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the keeper of the test cluster ended; its reason stands above');
    return value;
  };
  const send = async (order: Order) => {
    keeper.stdin.write(`${JSON.stringify(order)}\n`);
    const { error } = JSON.parse(await answer()) as Answer;
    if (error) throw new Error(error);
  };

  const facts = JSON.parse(await answer()) as ClusterFacts;
  const has = commands(facts);
  return {
    ...facts,
    ...has,
    kill: (component, node) => send({ act: 'kill', component, ...(node && { node }) }),
    restart: (component, node) => send({ act: 'restart', component, ...(node && { node }) }),
    async restartApiServer() {
      await send({ act: 'kill', component: 'kube-apiserver' });
      await send({ act: 'restart', component: 'kube-apiserver' });
    },
    killNode: (node) => send({ act: 'killNode', node }),
    link: (node, state) => send({ act: 'link', node, state }),
    importImage: (archive) => send({ act: 'importImage', archive: resolve(archive) }),
    volumeClaim: (namespace, name) => volumeClaim({ ...facts, ...has }, namespace, name),
    async stop() {
      keeper.stdin.end();
      await ended;
    },
  };
}

function clusterAt(kubeconfig: string): Cluster {
  const path = process.env.KUBEBUILDER_ASSETS ?? '';
  const facts = {
    kubeconfig,
    path,
    folder: '',
    hostAddress: '127.0.0.1',
    etcdUrl: '',
    nodes: [],
    readyAfter: {},
  };
  const refuse = async () => {
    throw new Error('the cluster of GIM_TEST_KUBECONFIG is not ours: its parts are left alone');
  };
  return {
    ...facts,
    ...commands(facts),
    kill: refuse,
    restart: refuse,
    restartApiServer: refuse,
    killNode: refuse,
    link: refuse,
    importImage: refuse,
    volumeClaim: refuse,
    stop: async () => {},
  };
}

function commands(facts: ClusterFacts): Pick<Cluster, 'exec' | 'apply'> {
  const env = {
    ...process.env,
    KUBECONFIG: facts.kubeconfig,
    ...(facts.folder && { KUBECACHEDIR: join(facts.folder, 'kubectl-cache') }),
    PATH: [facts.path, process.env.PATH].join(delimiter),
  };
  const start = (command: string[]) => {
    const pid = facts.namespacePid;
    const [program = '', ...args] = pid
      ? ['nsenter', `--target=${pid}`, '--net', '--', ...command]
      : command;
    return spawn(program, args, { env });
  };
  return {
    exec(...command) {
      const child = start(command);
      child.stdin.end();
      return finish(child, command);
    },
    apply(text) {
      const command = ['kubectl', 'apply', '--filename=-'];
      const child = start(command);
      child.stdin.end(text);
      return finish(child, command);
    },
  };
}

async function finish(child: ChildProcess, command: string[]): Promise<string> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const [code] = await once(child, 'close');
  if (code === 0) return stdout.trim();
  throw new CommandError(`${command.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
}
