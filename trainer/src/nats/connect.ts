import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ConnectionOptions,
  credsAuthenticator,
  errors,
  type NatsConnection,
} from '@nats-io/transport-node';
import { connect } from './transport.ts';

/** How every part of a trainer reaches NATS. */

export interface NatsAccess {
  natsUrl: string;
  /** Credentials file; none: a server that lets everybody in. */
  natsCreds?: string;
  /** Certificate of who signed the server's own; with it nothing is said to a server without TLS. */
  natsCa?: string;
  /** Where answers to this client come: credentials allow one prefix only. */
  inboxPrefix?: string;
}

/** A file that is needed to reach NATS is not there or is something else. Its content is never told. */
export class NatsFileError extends Error {
  override readonly name = 'NatsFileError';
}

/** The server does not let this client in. */
export class NatsRefusedError extends Error {
  override readonly name = 'NatsRefusedError';
}

/** Milliseconds between attempts to connect. */
const RETRY = 250;
/** Refusals in a row that count: the server may be busy, or the operator may still be pushing the account to it. */
const REFUSALS = 20;

/**
 * Waits for a server as long as it takes, and comes back to it for ever after. Credentials are read again
 * at each attempt, as they may have been renewed.
 * @throws NatsFileError; NatsRefusedError
 */
export async function connectNats(access: NatsAccess, name: string): Promise<NatsConnection> {
  const options = connectionOptions(access, name);
  for (let refusals = 0; ; ) {
    try {
      return await connect(options);
    } catch (error) {
      refusals = error instanceof errors.AuthorizationError ? refusals + 1 : 0;
      if (refusals === REFUSALS) throw refused(access, error);
      await sleep(RETRY);
    }
  }
}

function connectionOptions(access: NatsAccess, name: string): ConnectionOptions {
  const { natsUrl, natsCreds, natsCa, inboxPrefix } = access;
  if (natsCa !== undefined) read(natsCa);
  if (natsCreds !== undefined) checkCreds(natsCreds);
  return {
    servers: natsUrl,
    name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RETRY,
    ignoreAuthErrorAbort: true,
    ...(inboxPrefix !== undefined && { inboxPrefix }),
    ...(natsCreds !== undefined && { authenticator: credsAuthenticator(() => read(natsCreds)) }),
    ...(natsCa !== undefined && { tls: { caFile: natsCa } }),
  };
}

function checkCreds(file: string): void {
  try {
    credsAuthenticator(read(file))('nonce');
  } catch (error) {
    if (error instanceof NatsFileError) throw error;
    throw new NatsFileError(
      `${file} holds no NATS credentials; it must have the JWT of a user and its seed`,
    );
  }
}

function read(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new NatsFileError(`${file}, which is needed to reach NATS, cannot be read (${code})`);
  }
}

function refused({ natsUrl, natsCreds }: NatsAccess, cause: unknown): NatsRefusedError {
  const what = natsCreds ? `the credentials in ${natsCreds}` : 'clients without credentials';
  const right = natsCreds ? 'they must come from whoever runs it' : 'NATS_CREDS must name a file';
  return new NatsRefusedError(`the NATS server ${hostOf(natsUrl)} refuses ${what}; ${right}`, {
    cause,
  });
}

/** A URL may hold a password. */
function hostOf(url: string): string {
  try {
    return new URL(url.includes('://') ? url : `nats://${url}`).host;
  } catch {
    return 'of NATS_URL';
  }
}
