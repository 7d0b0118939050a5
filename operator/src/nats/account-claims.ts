import { type Account, encodeAccount } from '@nats-io/jwt';
import type { DerivedKeys } from './account-keys.ts';

/** JWT of a namespace's account: limits of the account, and its revoked users. */

/** Limits of each account. Bytes; -1 means unlimited. */
export interface AccountLimits {
  /** JetStream memory that all runs of a namespace may reserve together. */
  memoryBytes: number;
  /** JetStream disk space for checkpoints in the object store. */
  diskBytes: number;
  streams: number;
  consumers: number;
  connections: number;
  subscriptions: number;
}

export const DEFAULT_LIMITS: AccountLimits = {
  memoryBytes: 2 * 2 ** 30,
  diskBytes: 2 * 2 ** 30,
  streams: 1000,
  consumers: 2000,
  connections: 2000,
  subscriptions: 20_000,
};

/** Limits and revocations granted to an account. */
export interface AccountGrant {
  memoryBytes: number;
  diskBytes: number;
  /** Unix seconds by public key of a user; the user's JWTs issued until then are refused. */
  revocations: Record<string, number>;
}

/** A limit of 0 would disable JetStream in the account and delete its streams. */
const MINIMUM_BYTES = 1;

/**
 * Encodes the claims of an account. `owner` is the operator that uses the account. Exports, imports and leaf
 * nodes are refused.
 */
export function encodeClaims(
  keys: DerivedKeys,
  namespace: string,
  owner: string,
  limits: AccountLimits,
  { memoryBytes, diskBytes, revocations }: AccountGrant,
): Promise<string> {
  const account: Partial<Account> = {
    description: owner,
    limits: {
      subs: limits.subscriptions,
      conn: limits.connections,
      data: -1,
      payload: -1,
      imports: 0,
      exports: 0,
      leaf: 0,
      wildcards: true,
      disallow_bearer: true,
      mem_storage: Math.max(memoryBytes, MINIMUM_BYTES),
      disk_storage: diskBytes,
      streams: limits.streams,
      consumer: limits.consumers,
    },
    revocations,
  };
  const key = keys.account(namespace);
  return encodeAccount(namespace, key, account, { signer: keys.operator });
}

/** Content of an account's JWT. */
export interface Claims extends AccountGrant {
  namespace: string;
  owner: string;
}

/** Decodes a JWT that the server has verified; a second verification would take 30 ms. @throws SyntaxError */
export function decodeClaims(jwt: string): Claims {
  const payload = Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString();
  const { name, nats } = JSON.parse(payload) as { name: string; nats: Partial<Account> };
  const { limits, revocations = {}, description = '' } = nats;
  const { mem_storage: memoryBytes = 0, disk_storage: diskBytes = 0 } = limits ?? {};
  return { namespace: name, owner: description, memoryBytes, diskBytes, revocations };
}
