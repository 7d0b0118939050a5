import { encodeGeneric } from '@nats-io/jwt';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  type AccountGrant,
  type AccountLimits,
  type Claims,
  decodeClaims,
  encodeClaims,
} from './account-claims.ts';
import type { DerivedKeys } from './account-keys.ts';

/** Accounts of namespaces in the resolver of a NATS server, reached through its system account. */

/** The server rejected an account. */
export class NatsAccountError extends Error {
  override readonly name = 'NatsAccountError';
}

const TIMEOUT_MS = 2000;

export class AccountStore {
  readonly #system: NatsConnection;
  readonly #keys: DerivedKeys;
  readonly #limits: AccountLimits;

  constructor(system: NatsConnection, keys: DerivedKeys, limits: AccountLimits) {
    this.#system = system;
    this.#keys = keys;
    this.#limits = limits;
  }

  /** Returns the claims of the namespace's account; undefined if the server does not know the account. */
  read(namespace: string): Promise<Claims | undefined> {
    return this.#lookUp(this.#keys.account(namespace).getPublicKey());
  }

  /** @throws NatsAccountError */
  async write(namespace: string, owner: string, grant: AccountGrant): Promise<void> {
    const jwt = await encodeClaims(this.#keys, namespace, owner, this.#limits, grant);
    await this.#request('$SYS.REQ.CLAIMS.UPDATE', jwt);
  }

  /** Deletes the account if it belongs to that owner. @throws NatsAccountError */
  async delete(namespace: string, owner: string | undefined): Promise<void> {
    const claims = await this.read(namespace);
    if (owner === undefined || claims?.owner !== owner) return;
    const { operator } = this.#keys;
    const accounts = [this.#keys.account(namespace).getPublicKey()];
    const jwt = await encodeGeneric('delete', operator, 'generic', { accounts });
    await this.#request('$SYS.REQ.CLAIMS.DELETE', jwt);
  }

  /** Returns the namespaces whose accounts were last used by `owner`. */
  async namespaces(owner: string | undefined): Promise<string[]> {
    const { data } = await this.#request('$SYS.REQ.CLAIMS.LIST', '');
    const accounts: unknown[] = Array.isArray(data) ? data : [];
    const found: string[] = [];
    for (const account of accounts) {
      const claims = await this.#lookUp(String(account));
      if (claims === undefined || claims.owner !== owner) continue;
      if (this.#keys.account(claims.namespace).getPublicKey() === account)
        found.push(claims.namespace);
    }
    return found;
  }

  async #lookUp(account: string): Promise<Claims | undefined> {
    const subject = `$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`;
    const answer = await this.#system.request(subject, '', { timeout: TIMEOUT_MS });
    return answer.data.length > 0 ? decodeClaims(answer.string()) : undefined;
  }

  async #request(subject: string, payload: string): Promise<{ data?: unknown }> {
    const answer = await this.#system.request(subject, payload, { timeout: TIMEOUT_MS });
    const { error, ...rest } = answer.json<{ data?: unknown; error?: { description?: string } }>();
    if (error) throw new NatsAccountError(`${subject}: ${error.description ?? 'refused'}`);
    return rest;
  }
}
