import { hkdfSync, randomBytes } from 'node:crypto';
import { type KeyPair, Prefix } from '@nats-io/nkeys';
import { Codec } from '@nats-io/nkeys/lib/codec.js';
import { FastKeyPair } from './key-pair.ts';

/** NATS credentials or a key are malformed. The message names the file, never its content. */
export class NatsKeyError extends Error {
  override readonly name = 'NatsKeyError';
}

/** A key or credentials file; the name is used in messages. */
export interface KeyFile {
  file: string;
  content: string;
}

/**
 * Keys of accounts and users, derived from the operator's signing key (HKDF-SHA-256): the same namespace and the same
 * run get the same keys after a restart, and no state is kept.
 */
export class DerivedKeys {
  /** Signs the JWTs of accounts. */
  readonly operator: KeyPair;
  readonly #secret: Uint8Array;

  /** @throws NatsKeyError if `content` is not the seed of an operator key */
  constructor({ file, content }: KeyFile) {
    try {
      const seed = new TextEncoder().encode(content.trim());
      const { prefix, buf } = Codec.decodeSeed(seed);
      if (prefix !== Prefix.Operator) throw new TypeError('wrong prefix');
      this.operator = new FastKeyPair(prefix, buf);
      this.#secret = buf;
    } catch {
      throw new NatsKeyError(
        `${file} holds no key that signs accounts; it must be the seed of an operator, which starts with SO`,
      );
    }
  }

  /** Returns the key of the account of a Kubernetes namespace. */
  account(namespace: string): KeyPair {
    return this.#derive(Prefix.Account, `account/${namespace}`);
  }

  /** Returns the key of the user of a run's trainers; each generation has another key. */
  user(uid: string, generation: number): KeyPair {
    return this.#derive(Prefix.User, `user/${uid}/${generation}`);
  }

  /** Creates the key of a new user, for a connection of this process. */
  connection(): KeyPair {
    return new FastKeyPair(Prefix.User, randomBytes(32));
  }

  #derive(prefix: Prefix, info: string): KeyPair {
    const raw = new Uint8Array(hkdfSync('sha256', this.#secret, 'greedyinfomax.dev', info, 32));
    return new FastKeyPair(prefix, raw);
  }
}
