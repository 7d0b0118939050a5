import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterFacts, ClusterOptions } from '../cluster/cluster.ts';
import type { Component } from '../cluster/components.ts';
import type { LinkState } from '../cluster/link.ts';
import type { Answer, Order } from '../cluster/orders.ts';
import { volumeClaim } from './volume-claim.ts';

/** A real Kubernetes cluster, for tests. */

export interface Cluster extends ClusterFacts {
  /**
   * Runs a command with kubectl on PATH and KUBECONFIG set, in node0's network if there are nodes;
   * resolves with its output.
   */
  exec(...command: string[]): Promise<string>;
  /** Runs `kubectl apply -f -` on YAML or JSON text. */
  apply(text: string): Promise<string>;
  /** Resolves when all CRDs of the cluster are established, so that their objects can be created. */
  crdsEstablished(): Promise<void>;
  /** Kills a component of the cluster; `node` names the node for components that every node has. */
  kill(component: Component, node?: string): Promise<void>;
  /** Restarts a killed component; for an API server, resolves when it is ready. */
  restart(component: Component, node?: string): Promise<void>;
  /** Kills the API server and starts it again; resolves when it is ready. */
  restartApiServer(): Promise<void>;
  /** Kills a node's kubelet and all its containers; the API server is not notified. */
  killNode(node: string): Promise<void>;
  /**
   * Cuts, delays or throttles the link between a node and all others, including the control plane;
   * `{}` restores it. Not for node0, which holds the control plane.
   */
  link(node: string, state: LinkState): Promise<void>;
  /** Adds an image to every node, from a docker or OCI archive. */
  importImage(archive: string): Promise<void>;
  /**
   * Creates a claim that pods on all nodes can mount and trainers can write to. Resolves when it is
   * bound, with the folder of this machine behind it.
   */
  volumeClaim(namespace: string, name: string): Promise<string>;
  stop(): Promise<void>;
}

/** A command in the cluster failed; the message contains its output. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Maximum time to start a cluster whose binaries must be built first, for `beforeAll`. */
export const CLUSTER_TIMEOUT = 40 * 60_000;

/** Maximum milliseconds until CRDs are established. */
const CRD_WAIT = 240_000;

/** Image preloaded on every node: Node.js, a shell, the system libraries of libtensorflow. */
export const NODE_IMAGE = 'test.local/node:1';

const ROOT = resolve(import.meta.dirname, '../..');
const CACHE = process.env.GREEDY_INFOMAX_CACHE ?? join(homedir(), '.cache/greedy-infomax');

/**
 * Volumes of a pod template that mount this checkout into NODE_IMAGE at its working directory, so
 * that pods can run trainers. The checkout links libtensorflow by its path in the cache, so the
 * cache is mounted at the same path.
 */
export const CHECKOUT_VOLUMES = [
  { name: 'checkout', hostPath: { path: ROOT }, mountPath: '/app', readOnly: true },
  { name: 'cache', hostPath: { path: CACHE }, mountPath: CACHE, readOnly: true },
];

/**
 * Starts a separate cluster for the caller, with RBAC enabled; several can run at once. Without
 * nodes it has the whole control plane, and pods stay Pending; with nodes, containers run, and
 * Services have addresses and names.
 *
 * A keeper process holds the cluster and removes it when this process ends for any reason.
 * GIM_TEST_KUBECONFIG names an existing cluster to use instead; nothing is started or stopped then.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const given = process.env.GIM_TEST_KUBECONFIG;
  if (given) return clusterAt(given);

  const main = join(ROOT, 'test/cluster/main.ts');
  const args = [main, 'serve', `--nodes=${options.nodes}`, `--gpus=${options.gpus ?? 0}`];
  const keeper = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(keeper, 'exit');
  keeper.stdin.on('error', () => undefined); // The keeper has ended: its response fails.
  const lines = createInterface({ input: keeper.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the keeper of the test cluster ended; its error is printed above');
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
    throw new Error(
      'GIM_TEST_KUBECONFIG names an external cluster: its components cannot be stopped',
    );
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

function commands(facts: ClusterFacts): Pick<Cluster, 'exec' | 'apply' | 'crdsEstablished'> {
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
  const exec = (...command: string[]) => {
    const child = start(command);
    child.stdin.end();
    return finish(child, command);
  };
  return {
    exec,
    async crdsEstablished() {
      const wait = ['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'];
      const end = Date.now() + CRD_WAIT;
      for (;;) {
        try {
          await exec('kubectl', ...wait);
          return;
        } catch (error) {
          // `kubectl wait` fails at once if a CRD has no status yet.
          if (Date.now() > end) throw error;
          await sleep(200);
        }
      }
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
