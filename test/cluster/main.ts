import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type ClusterFacts, TestCluster } from './cluster.ts';
import { follow, type Order } from './orders.ts';

/**
 * up | down: starts or ends a cluster for manual use. serve: runs a cluster for as long as stdin
 * stays open. The first line of output is its connection data; after that each line of input, a
 * command, gets one line of response.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    nodes: { type: 'string', default: '1' },
    gpus: { type: 'string', default: '0' },
    stay: { type: 'boolean', default: false },
  },
});
const cache = process.env.GREEDY_INFOMAX_CACHE ?? join(homedir(), '.cache/greedy-infomax');
const own = join(cache, 'cluster');
const factsFile = join(own, 'facts.json');

const actions: Record<string, () => Promise<void>> = { up, down, serve };
const action = actions[positionals[0] ?? ''];
if (!action) throw new Error('usage: main.ts up|down|serve [--nodes N] [--gpus N]');
await action();

async function serve(): Promise<void> {
  const starting = TestCluster.start({
    nodes: Number(values.nodes),
    gpus: Number(values.gpus),
  });
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= starting.then(
      (cluster) => cluster.stop(),
      () => undefined, // The keeper has removed its files.
    );
    stopping.then(() => process.exit());
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const lines = values.stay ? undefined : createInterface({ input: process.stdin });
  lines?.on('close', stop);

  const cluster = await starting;
  console.log(JSON.stringify(cluster.facts));
  if (values.stay) setInterval(() => undefined, 2 ** 30);
  for await (const line of lines ?? []) {
    console.log(JSON.stringify(await follow(JSON.parse(line) as Order, cluster)));
  }
}

async function up(): Promise<void> {
  if (runningPid()) {
    tell((JSON.parse(readFileSync(factsFile, 'utf8')) as { facts: ClusterFacts }).facts);
    return;
  }
  mkdirSync(own, { recursive: true });
  const args = [import.meta.filename, 'serve', '--stay', `--nodes=${values.nodes}`];
  const keeper = spawn(process.execPath, [...args, `--gpus=${values.gpus}`], {
    detached: true,
    stdio: ['ignore', 'pipe', openSync(join(own, 'log'), 'w')],
  });
  console.log('starting a cluster (about 15 s; the first time builds Kubernetes, 10 minutes) ...');
  const facts = await Promise.race([
    once(createInterface({ input: keeper.stdout as Readable }), 'line').then(([line]) =>
      String(line),
    ),
    once(keeper, 'exit').then(() => undefined),
  ]);
  if (facts === undefined) throw new Error(readFileSync(join(own, 'log'), 'utf8'));
  writeFileSync(factsFile, JSON.stringify({ pid: keeper.pid, facts: JSON.parse(facts) }));
  tell(JSON.parse(facts) as ClusterFacts);
  process.exit(); // The keeper's output would keep this process alive.
}

async function down(): Promise<void> {
  const pid = runningPid();
  if (!pid) return console.log('no cluster is running');
  process.kill(pid, 'SIGTERM');
  while (existsSync(`/proc/${pid}`)) await sleep(50);
  rmSync(factsFile);
  console.log('the cluster is removed');
}

/** Keeper of the manually started cluster, if it still runs. */
function runningPid(): number | undefined {
  if (!existsSync(factsFile)) return undefined;
  const { pid } = JSON.parse(readFileSync(factsFile, 'utf8')) as { pid: number };
  const command = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
  return command.includes(import.meta.filename) ? pid : undefined;
}

function tell(facts: ClusterFacts): void {
  console.log(`cluster ready; logs: ${facts.folder}`);
  console.log('to use it:');
  console.log(`  export KUBECONFIG=${facts.kubeconfig} KUBECACHEDIR=${facts.folder}/kubectl-cache`);
  console.log(`  export PATH=${facts.path}:$PATH`);
  if (facts.namespacePid) {
    console.log(
      `to enter the network of node0: nsenter --target=${facts.namespacePid} --net --mount`,
    );
  }
}
