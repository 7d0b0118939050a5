import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { API_GROUP, API_VERSION, checkNatsUrl, checkRun } from '@greedy-infomax/crds';
import pino from 'pino';
import { Client } from '../kube/client.ts';
import { openHealthServer } from '../kube/health.ts';
import { loadKubeConfig, ownNamespace } from '../kube/kube-config.ts';
import { Election } from '../kube/leader-election.ts';
import { parseNamespaces } from '../kube/multi-namespace-informer.ts';
import { NAMESPACES_ANNOTATION, Neighbours, watchedText } from '../kube/neighbours.ts';
import { openTenants } from '../nats/open-tenants.ts';
import { parseRunDefaults } from '../plan/kubernetes/run-defaults.ts';
import { Controller } from './controller.ts';
import { CrdVersions } from './crd-versions.ts';
import { Metrics } from './metrics.ts';

/** Runs the operator, which reconciles GreedyInfoMaxRun objects of a cluster. */

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string' },
    namespaces: { type: 'string' },
    nats: { type: 'string', default: process.env.NATS_URL ?? 'nats://nats:4222' },
    'nats-creds': { type: 'string' },
    'nats-operator-key': { type: 'string' },
    'nats-signing-key': { type: 'string' },
    'nats-account-limits': { type: 'string' },
    'nats-credentials-lifetime': { type: 'string', default: '86400' },
    'nats-ca': { type: 'string' },
    'trainer-nats': { type: 'string' },
    'run-defaults': { type: 'string' },
    'allow-host-access': { type: 'boolean', default: false },
    'trainer-image': { type: 'string', default: process.env.TRAINER_IMAGE },
    'lease-namespace': { type: 'string' },
    'health-port': { type: 'string', default: '8081' },
    'metrics-port': { type: 'string', default: '8080' },
    'metrics-runs': { type: 'boolean', default: false },
    concurrency: { type: 'string', default: '8' },
  },
});

const log = pino({ level: process.env.LOG_LEVEL ?? 'info' });
const LEASE = 'greedy-infomax-operator';
/** Identity of this process for leader election. Unique, because the host name remains after a restart. */
const identity = `${hostname()}_${randomUUID().slice(0, 8)}`;

process.exitCode = await main().catch((error: unknown) => {
  log.fatal({ err: error }, (error as Error).message);
  return 1;
});

async function main(): Promise<number> {
  if (values['trainer-image'] === undefined) {
    throw new Error('--trainer-image IMAGE (or TRAINER_IMAGE) is missing');
  }
  const metrics = new Metrics({ runs: values['metrics-runs'] });
  const access = loadKubeConfig(values.kubeconfig);
  const client = new Client(access, metrics.observeRequests(new URL(access.server).host));
  const concurrency = Number(values.concurrency);
  const nats = await openTenants({
    url: values.nats,
    creds: values['nats-creds'],
    operatorKey: values['nats-operator-key'],
    signingKey: values['nats-signing-key'],
    ca: values['nats-ca'],
    limits: values['nats-account-limits'],
    lifetimeSeconds: Number(values['nats-credentials-lifetime']),
    owner: () => controller.leading,
    log,
  });
  const signs = nats.lifetimeSeconds !== null;
  const ca = values['nats-ca'] && readFileSync(values['nats-ca'], 'utf8');
  const defaults = values['run-defaults'];
  const runDefaults = defaults && parseRunDefaults(defaults, '--run-defaults');
  const namespaces = parseNamespaces(values.namespaces);
  const leaseNamespace = values['lease-namespace'] ?? ownNamespace();
  const neighbours = new Neighbours(client, {
    name: LEASE,
    namespace: leaseNamespace,
    watched: namespaces,
    log,
  });
  const controller: Controller = new Controller({
    client,
    namespaces,
    leavesAlone: (namespace) => neighbours.leavesAlone(namespace),
    plan: {
      trainerImage: values['trainer-image'],
      natsUrl: checkNatsUrl(values['trainer-nats'] ?? values.nats),
      allowHostAccess: values['allow-host-access'],
      ...(runDefaults && { runDefaults }),
      ...((signs || ca) && { natsSecret: { user: signs, ...(ca && { ca }) } }),
    },
    nats,
    concurrency,
    identity,
    log,
    metrics,
  });

  compileValidator();
  const crds = new CrdVersions(client, log);
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const watching = new AbortController();
  const electing = new AbortController();
  const health = await openHealthServer(Number(values['health-port']), {
    healthz: { ping: () => true },
    readyz: {
      caches: () => controller.synced || 'not filled yet',
      crds: () => crds.problem ?? true,
      neighbours: () => neighbours.conflict ?? true,
    },
  });
  const served = await metrics.open(Number(values['metrics-port']));

  const watches = Promise.all([controller.watch(watching.signal), crds.watch(watching.signal)]);
  controller.connectNats(stop.signal);
  let leading: Promise<void> = Promise.resolve();
  const election = new Election(client, {
    namespace: leaseNamespace,
    name: LEASE,
    identity,
    annotations: { [NAMESPACES_ANNOTATION]: watchedText(namespaces) },
    log,
    onStarted: (lease) => {
      metrics.setLeader(LEASE, true);
      leading = controller.lead(lease.metadata.uid ?? identity, stop.signal);
      void neighbours.untilConflict(lease, stop.signal).then((conflict) => {
        if (conflict !== undefined) process.exit(1); // the next start waits
      });
    },
    // Exit at once, because the next leader does not wait for reconciles that are still running here.
    onLost: () => process.exit(1),
  });
  const waiting = AbortSignal.any([stop.signal, electing.signal]);
  const elections = neighbours.whenAlone(waiting).then(() => election.run(electing.signal));
  await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
  log.info('stopping');
  await leading; // release the lease only after the last reconcile
  electing.abort();
  await elections;
  watching.abort();
  await watches;
  await Promise.all([health.close(), served.close(), client.close()]);
  setTimeout(() => process.exit(), 1000).unref(); // the NATS client may still be trying to connect
  return 0;
}

/**
 * Validates a small run. The zod validator compiles itself at the first call, which would block the event loop for more
 * than 50 ms in the reconcile of the first run.
 */
function compileValidator(): void {
  checkRun({
    apiVersion: `${API_GROUP}/${API_VERSION}`,
    kind: 'GreedyInfoMaxRun',
    metadata: { name: 'small' },
    spec: {
      data: { format: 'digits' },
      augmentation: { crop: 28 },
      patches: { size: 4, stride: 4 },
      modules: [{ name: 'first', layers: [{ type: 'conv', channels: 8 }] }],
      objective: { type: 'infoNCE' },
      training: { samples: 640 },
    },
  });
}
