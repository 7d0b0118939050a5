import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { connect } from '@nats-io/transport-node';
import pino from 'pino';
import { Client } from './client.ts';
import { Controller } from './controller.ts';
import { Election } from './election.ts';
import { openHealthServer } from './health.ts';
import { loadKubeConfig, ownNamespace } from './kube-config.ts';
import { Metrics } from './metrics.ts';

/** The operator: reconciles GreedyInfoMaxRun objects on a cluster. */

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string' },
    nats: { type: 'string', default: process.env.NATS_URL ?? 'nats://nats:4222' },
    'trainer-nats': { type: 'string' },
    'trainer-image': { type: 'string', default: process.env.TRAINER_IMAGE },
    'lease-namespace': { type: 'string' },
    'health-port': { type: 'string', default: '8081' },
    'metrics-port': { type: 'string', default: '8080' },
    concurrency: { type: 'string', default: '4' },
  },
});

const log = pino({ level: process.env.LOG_LEVEL ?? 'info' });
const LEASE = 'greedy-infomax-operator';
/** Of this process; another start on the same host is another. */
const identity = `${hostname()}_${randomUUID().slice(0, 8)}`;

process.exitCode = await main().catch((error: unknown) => {
  log.fatal({ err: error }, (error as Error).message);
  return 1;
});

async function main(): Promise<number> {
  if (values['trainer-image'] === undefined) {
    throw new Error('--trainer-image IMAGE (or TRAINER_IMAGE) is missing');
  }
  const metrics = new Metrics();
  const config = loadKubeConfig(values.kubeconfig);
  const host = new URL(config.getCurrentCluster()?.server ?? '').host;
  const client = new Client(config, metrics.observeRequests(host));
  const concurrency = Number(values.concurrency);
  const controller = new Controller({
    client,
    namespace: values.namespace,
    plan: {
      trainerImage: values['trainer-image'],
      natsUrl: values['trainer-nats'] ?? values.nats,
    },
    concurrency,
    identity,
    log,
    metrics,
  });

  const stop = new AbortController();
  let lost = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const watching = new AbortController();
  const electing = new AbortController();
  const health = await openHealthServer(Number(values['health-port']), {
    healthz: { ping: () => true },
    readyz: { caches: () => controller.synced || 'not filled yet' },
  });
  const served = await metrics.open(Number(values['metrics-port']));

  const watches = controller.watch(watching.signal);
  void connectNats(controller, metrics);
  let leading: Promise<void> = Promise.resolve();
  const election = new Election(client, {
    namespace: values['lease-namespace'] ?? ownNamespace(),
    name: LEASE,
    identity,
    log,
    onStarted: () => {
      metrics.setLeader(LEASE, true);
      leading = controller.lead(stop.signal);
    },
    onLost: () => {
      lost = true;
      stop.abort();
    },
  });
  const elections = election.run(electing.signal);
  await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
  log.info({ lost }, 'stopping');
  await leading; // the lease is freed only when no work is under way
  electing.abort();
  await elections;
  watching.abort();
  await watches;
  await Promise.all([health.close(), served.close(), client.close()]);
  setTimeout(() => process.exit(), 1000).unref(); // the NATS client may still be trying to connect
  return lost ? 1 : 0;
}

/** Runs go on without NATS as far as they can; streams and reports come with it. */
async function connectNats(controller: Controller, metrics: Metrics): Promise<void> {
  const connection = await connect({
    servers: values.nats,
    name: 'greedy-infomax-operator',
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    waitOnFirstConnect: true,
  });
  metrics.setNatsConnected(true);
  controller.useNats(connection);
  for await (const { type } of connection.status()) {
    if (type === 'disconnect') metrics.setNatsConnected(false);
    if (type === 'reconnect') metrics.setNatsConnected(true);
  }
}
