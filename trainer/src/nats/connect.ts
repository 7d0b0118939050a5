import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkNatsUrl } from '@greedy-infomax/crds';
import {
  type ConnectionOptions,
  credsAuthenticator,
  errors,
  type NatsConnection,
} from '@nats-io/transport-node';
import { connect } from './transport.ts';

/** Address and credentials of the NATS server. */
export interface NatsAccess {
  natsUrl: string;
  /** Path of the credentials file. Default: connect without credentials. */
  natsCreds?: string;
  /** Path of the CA certificate that signed the server's. If set, TLS is required. */
  natsCa?: string;
  /** Prefix of inbox subjects; credentials allow only one. */
  inboxPrefix?: string;
}

/** A file for the connection to NATS is missing or invalid. The message never contains its content. */
export class NatsFileError extends Error {
  override readonly name = 'NatsFileError';
}

/** The server refuses this client. */
export class NatsRefusedError extends Error {
  override readonly name = 'NatsRefusedError';
}

/** Milliseconds between attempts to connect. */
const RETRY = 250;
/** Consecutive refusals until an error: the server may be busy, or the operator may still push the account to it. */
const REFUSALS = 20;

/**
 * Connects to NATS. Waits for the server without limit, and reconnects without limit. Reads the credentials again at each
 * attempt, because they may have been renewed.
 * @throws NatsFileError, NatsUrlError, NatsRefusedError
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
    servers: checkNatsUrl(natsUrl),
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
    throw new NatsFileError(`cannot read ${file}, which is needed to connect to NATS (${code})`);
  }
}

function refused({ natsUrl, natsCreds }: NatsAccess, cause: unknown): NatsRefusedError {
  const what = natsCreds ? `the credentials in ${natsCreds}` : 'clients without credentials';
  const right = natsCreds
    ? 'get valid ones from the administrator of the server'
    : 'NATS_CREDS must name a file';
  return new NatsRefusedError(`the NATS server ${natsUrl} refuses ${what}; ${right}`, {
    cause,
  });
}
