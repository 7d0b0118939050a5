import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkNatsUrl } from '@greedy-infomax/crds';
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
} from '@nats-io/transport-node';
import type { Logger } from 'pino';

/** Address and credentials with which the operator reaches NATS. */

export interface NatsAccess {
  url: string;
  /** Credentials file; unset for a server without authentication. */
  creds?: string;
  /** CA certificate file. When set, the client refuses servers without TLS. */
  ca?: string;
}

/** Milliseconds between attempts to connect. */
const RETRY = 500;

/**
 * Returns the client's options. Files are read again at each attempt, because they may have been renewed.
 * @throws NatsUrlError
 */
export const connectionOptions = ({ url, creds, ca }: NatsAccess): ConnectionOptions => ({
  servers: checkNatsUrl(url),
  maxReconnectAttempts: -1,
  reconnectTimeWait: RETRY,
  // Refused credentials may be renewed, on either side.
  ignoreAuthErrorAbort: true,
  ...(creds !== undefined && { authenticator: credsAuthenticator(() => readFileSync(creds)) }),
  ...(ca !== undefined && { tls: { caFile: ca } }),
});

/**
 * Retries until it succeeds, and logs the failure whenever its reason changes. Resolves with null once
 * stopped.
 */
export async function connectPatiently(
  access: NatsAccess,
  name: string,
  log: Logger,
  signal: AbortSignal,
): Promise<NatsConnection | null> {
  const options = connectionOptions(access);
  let said = '';
  while (!signal.aborted) {
    try {
      return await connect({ ...options, name });
    } catch (error) {
      const { message } = error as Error;
      if (message !== said) log.warn({ reason: message }, 'cannot connect to NATS; trying on');
      said = message;
      await sleep(RETRY, undefined, { signal }).catch(() => {});
    }
  }
  return null;
}
