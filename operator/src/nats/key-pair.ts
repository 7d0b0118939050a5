import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { type KeyPair, NKeysError, NKeysErrorCode, Prefix } from '@nats-io/nkeys';
import { Codec } from '@nats-io/nkeys/lib/codec.js';

/** PKCS #8 prefix of a 32-byte Ed25519 private key. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * An nkey on node:crypto. Keys of @nats-io/nkeys take 7 ms to derive the public key, 9 ms to sign and 27 ms to
 * verify (measured), because they compute in JavaScript; these take less than 0.2 ms.
 */
export class FastKeyPair implements KeyPair {
  readonly #prefix: Prefix;
  readonly #raw: Uint8Array;
  readonly #public: Uint8Array;
  readonly #key: KeyObject;

  /** `raw` is the 32-byte seed. */
  constructor(prefix: Prefix, raw: Uint8Array) {
    this.#prefix = prefix;
    this.#raw = raw;
    const key = Buffer.concat([PKCS8, raw]);
    this.#key = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    const { x = '' } = createPublicKey(this.#key).export({ format: 'jwk' });
    this.#public = new Uint8Array(Buffer.from(x, 'base64url'));
  }

  getPublicKey(): string {
    return new TextDecoder().decode(Codec.encode(this.#prefix, this.#public));
  }

  getPrivateKey(): Uint8Array {
    return Codec.encode(Prefix.Private, new Uint8Array([...this.#raw, ...this.#public]));
  }

  getSeed(): Uint8Array {
    return Codec.encodeSeed(this.#prefix, this.#raw);
  }

  sign(input: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, input, this.#key));
  }

  verify(input: Uint8Array, signature: Uint8Array): boolean {
    return verify(null, input, createPublicKey(this.#key), signature);
  }

  /** Does nothing: node:crypto keeps the key. */
  clear(): void {}

  seal(): Uint8Array {
    throw new NKeysError(NKeysErrorCode.InvalidNKeyOperation);
  }

  open(): Uint8Array {
    throw new NKeysError(NKeysErrorCode.InvalidNKeyOperation);
  }
}
