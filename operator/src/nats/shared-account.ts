import { encodeUser, fmtCreds, parseCreds } from '@nats-io/jwt';
import { createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { type KeyFile, NatsKeyError } from './account-keys.ts';
import { connectPatiently, type NatsAccess } from './connection.ts';
import type { ConnectionEvents, NatsTenants, TrainerUser } from './tenants.ts';

/**
 * One connection and one account for all namespaces, for an open server, or an external one whose operator key
 * is not available. Permissions protect against accidents, not against an attacker (decision 18).
 */

interface SharedAccountOptions {
  access: NatsAccess;
  /** Signs the trainers' credentials; null if trainers get none. */
  signer: AccountSigner | null;
  lifetimeSeconds: number;
  log: Logger;
}

export class SharedAccount implements NatsTenants {
  readonly #options: SharedAccountOptions;
  #connection: NatsConnection | null = null;

  constructor(options: SharedAccountOptions) {
    this.#options = options;
  }

  get lifetimeSeconds(): number | null {
    return this.#options.signer ? this.#options.lifetimeSeconds : null;
  }

  start(events: ConnectionEvents, signal: AbortSignal): void {
    void this.#keep(events, signal);
  }

  async #keep(events: ConnectionEvents, signal: AbortSignal): Promise<void> {
    const { access, log } = this.#options;
    const connection = await connectPatiently(access, 'greedy-infomax-operator', log, signal);
    if (connection === null) return;
    this.#connection = connection;
    events.onState(true);
    events.onConnected(connection, undefined, true);
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') events.onState(false);
      if (type !== 'reconnect') continue;
      events.onState(true);
      events.onConnected(connection, undefined, false);
    }
  }

  connection(): NatsConnection | null {
    return this.#connection;
  }

  async open(): Promise<NatsConnection | null> {
    return this.#connection;
  }

  async admit(): Promise<() => Promise<void>> {
    return async () => {};
  }

  async release(): Promise<void> {}
  async revoke(): Promise<void> {}
  async settle(): Promise<void> {}

  async close(): Promise<void> {
    await this.#connection?.close();
  }

  async namespaces(): Promise<undefined[]> {
    return [undefined];
  }

  mint(user: TrainerUser): Promise<string> {
    const { signer, lifetimeSeconds } = this.#options;
    if (signer === null) throw new TypeError('the shared account has no signing key');
    const expires = Math.floor(Date.now() / 1000) + lifetimeSeconds;
    return mintUser(user, createUser(), signer, expires);
  }
}

export interface AccountSigner {
  /** Public key of the account. */
  account: string;
  key: KeyPair;
}

/** Returns the text of a credentials file; `expires` is in Unix seconds. */
export async function mintUser(
  { name, permissions: { publish, subscribe } }: Pick<TrainerUser, 'name' | 'permissions'>,
  user: KeyPair,
  { account, key }: AccountSigner,
  expires: number,
): Promise<string> {
  const rights = { pub: { allow: publish }, sub: { allow: subscribe } };
  // A user signed by the account's own key names no signing key.
  const isOwn = key.getPublicKey() === account;
  const options = { exp: expires, ...(!isOwn && { signer: key }) };
  const jwt = await encodeUser(name, user, isOwn ? key : account, rights, options);
  return new TextDecoder().decode(fmtCreds(jwt, user));
}

/** Returns the signer of the account that `creds` belong to. @throws NatsKeyError */
export async function openSigner(creds: KeyFile, seed: KeyFile): Promise<AccountSigner> {
  return { account: await accountOf(creds), key: accountKey(seed) };
}

async function accountOf({ file, content }: KeyFile): Promise<string> {
  try {
    return (await parseCreds(new TextEncoder().encode(content))).aid;
  } catch {
    throw new NatsKeyError(
      `${file} holds no NATS credentials; it must have the JWT of a user and its seed, as nsc writes them`,
    );
  }
}

function accountKey({ file, content }: KeyFile): KeyPair {
  const text = content.trim();
  try {
    if (!text.startsWith('SA')) throw new TypeError('wrong prefix');
    return fromSeed(new TextEncoder().encode(text));
  } catch {
    throw new NatsKeyError(
      `${file} holds no key that signs users; it must be the seed of an account, which starts with SA`,
    );
  }
}
