import { parseArgs } from 'node:util';
import pino from 'pino';
import { Client } from '../kube/client.ts';
import { timeoutSignal } from '../kube/clock.ts';
import { loadKubeConfig } from '../kube/kube-config.ts';
import { connectPatiently } from '../nats/connection.ts';
import { checkApi, checkJetStream, checkOperator, InstallCheckError } from './checks.ts';

/**
 * Checks an installation; `helm test` runs it in the cluster. All checks are made, each says in a line how it
 * went, and the exit code is 0 when all hold.
 */

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string', default: 'default' },
    deployment: { type: 'string', default: 'greedy-infomax-operator' },
    nats: { type: 'string', default: 'nats://nats:4222' },
    'nats-creds': { type: 'string' },
    'nats-ca': { type: 'string' },
    'within-seconds': { type: 'string', default: '120' },
  },
});

const withinSeconds = Number(values['within-seconds']);
const client = new Client(loadKubeConfig(values.kubeconfig));
const access = { url: values.nats, creds: values['nats-creds'], ca: values['nats-ca'] };

const checks: Record<string, () => Promise<string>> = {
  API: () => checkApi(client),
  operator: () =>
    checkOperator(client, {
      namespace: values.namespace,
      name: values.deployment,
      withinSeconds,
    }),
  NATS: async () => {
    const timeout = timeoutSignal(withinSeconds);
    const log = pino({}, process.stderr);
    const connection = await connectPatiently(access, 'greedy-infomax-install-check', log, timeout);
    if (connection === null) {
      throw new InstallCheckError(
        `no connection to ${access.url} within ${withinSeconds} s; the reason stands above`,
      );
    }
    try {
      return await checkJetStream(connection);
    } finally {
      await connection.close();
    }
  },
};

for (const [name, check] of Object.entries(checks)) {
  try {
    console.log(`ok      ${name}: ${await check()}`);
  } catch (error) {
    console.log(`FAILED  ${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
await client.close();
