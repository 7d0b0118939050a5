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

/** How the operator reaches NATS. */

export interface NatsAccess {
  url: string;
  /** Credentials file; none: a server that lets everybody in. */
  creds?: string;
  /** Certificate of who signed the server's own; with it nothing is said to a server without TLS. */
  ca?: string;
}

/** Milliseconds between attempts to connect. */
const RETRY = 500;

/**
 * Files are read again at each attempt, as they may have been renewed.
 * @throws NatsUrlError
 */
export const connectionOptions = ({ url, creds, ca }: NatsAccess): ConnectionOptions => ({
  servers: checkNatsUrl(url),
  maxReconnectAttempts: -1,
  reconnectTimeWait: RETRY,
  // Credentials that are refused now may be renewed, on either side.
  ignoreAuthErrorAbort: true,
  ...(creds !== undefined && { authenticator: credsAuthenticator(() => readFileSync(creds)) }),
  ...(ca !== undefined && { tls: { caFile: ca } }),
});

/** Tries until it succeeds, and says why it does not whenever the reason is another; null once stopped. */
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
