import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { printable } from '@greedy-infomax/crds';
import pino from 'pino';
import { Client } from '../kube/client.ts';
import { timeoutSignal } from '../kube/clock.ts';
import { loadKubeConfig } from '../kube/kube-config.ts';
import { openTenants } from '../nats/open-tenants.ts';
import { checkApi, checkJetStream, checkOperator, InstallCheckError } from './checks.ts';

/**
 * Checks an installation; `helm test` runs it in the cluster. All checks run, each prints one line with its
 * result, and the exit code is 0 if all pass.
 */

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string', default: 'default' },
    deployment: { type: 'string', default: 'greedy-infomax-operator' },
    nats: { type: 'string', default: 'nats://nats:4222' },
    'nats-creds': { type: 'string' },
    'nats-operator-key': { type: 'string' },
    'nats-ca': { type: 'string' },
    'within-seconds': { type: 'string', default: '120' },
  },
});

/** Maximum bytes of the check's stream; more than it reserves. */
const CHECK_BYTES = 1_048_576;
const withinSeconds = Number(values['within-seconds']);
const client = new Client(loadKubeConfig(values.kubeconfig));

const checks: Record<string, () => Promise<string>> = {
  API: () => checkApi(client),
  operator: () =>
    checkOperator(client, {
      namespace: values.namespace,
      name: values.deployment,
      withinSeconds,
    }),
  NATS: async () => {
    const signal = timeoutSignal(withinSeconds);
    // A dot cannot occur in the name of a namespace, so no real one is used.
    const namespace = `install-check.${randomUUID()}`;
    const nats = await openTenants({
      url: values.nats,
      creds: values['nats-creds'],
      operatorKey: values['nats-operator-key'],
      signingKey: undefined,
      ca: values['nats-ca'],
      limits: undefined,
      lifetimeSeconds: withinSeconds,
      owner: () => namespace,
      log: pino({}, process.stderr),
    });
    nats.start({ onConnected: () => {}, onState: () => {} }, signal);
    try {
      const run = { namespace, uid: namespace, memoryBytes: CHECK_BYTES, files: false };
      for (; !signal.aborted; await sleep(200)) {
        const connection = await nats.open(namespace);
        if (connection === null) continue;
        await nats.admit(run);
        const said = await checkJetStream(connection);
        await nats.settle(namespace, () => false);
        return said;
      }
      throw new InstallCheckError(
        `no connection to ${values.nats} within ${withinSeconds} s; the reason stands above`,
      );
    } finally {
      await nats.close();
    }
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    console.log(printable(`ok      ${name}: ${await check()}`));
  } catch (error) {
    console.log(printable(`FAILED  ${name}: ${(error as Error).message}`));
    process.exitCode = 1;
  }
}
await client.close();
