import { parseArgs } from 'node:util';
import pino from 'pino';
import { Client } from '../kube/client.ts';
import { loadKubeConfig } from '../kube/kube-config.ts';
import { writeAuth } from './files.ts';
import { makeAuth } from './keys.ts';
import { makeAuthSecret } from './secret.ts';

/**
 * Makes the keys that close a NATS server, once: `node operator/src/nats-keys/main.ts --namespace NAMESPACE
 * --secret NAME [--kubeconfig FILE]` puts them into a Secret and leaves one that is there as it is; `--out
 * DIR` writes them as files.
 */

const { values } = parseArgs({
  options: {
    namespace: { type: 'string' },
    secret: { type: 'string' },
    kubeconfig: { type: 'string' },
    out: { type: 'string' },
  },
});

const log = pino({ level: process.env.LOG_LEVEL ?? 'info' });

process.exitCode = await main().catch((error: unknown) => {
  log.fatal({ err: error }, (error as Error).message);
  return 1;
});

async function main(): Promise<number> {
  const { namespace, secret, out } = values;
  if (out !== undefined) {
    const auth = await makeAuth();
    writeAuth(out, auth);
    log.info({ folder: out, files: Object.keys(auth) }, 'made keys for NATS');
    return 0;
  }
  if (namespace === undefined || secret === undefined) {
    throw new Error('say where the keys go: --namespace NAMESPACE --secret NAME, or --out DIR');
  }
  const client = new Client(loadKubeConfig(values.kubeconfig));
  try {
    const made = await makeAuthSecret(client, namespace, secret);
    log.info(
      { namespace, secret },
      made ? 'made keys for NATS' : 'left the keys for NATS as they are',
    );
  } finally {
    await client.close();
  }
  return 0;
}
