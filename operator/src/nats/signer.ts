import { encodeUser, fmtCreds, parseCreds } from '@nats-io/jwt';
import { createUser, fromSeed, type KeyPair } from '@nats-io/nkeys';
import type { NatsPermissions } from '../plan/nats-permissions.ts';

/** Makes users of the account that the operator itself belongs to. */

/** A key or credentials for NATS are not what they should be. The message names the file, never its content. */
export class NatsKeyError extends Error {
  override readonly name = 'NatsKeyError';
}

export interface Signer {
  /** Text of a credentials file for a new user with these rights and no end of its own. */
  mint(name: string, permissions: NatsPermissions): Promise<string>;
}

/** `file` names are for messages. @throws NatsKeyError */
export async function openSigner(
  creds: { file: string; content: string },
  seed: { file: string; content: string },
): Promise<Signer> {
  const account = await accountOf(creds);
  const key = accountKey(seed);
  return {
    async mint(name, { publish, subscribe }) {
      const user = createUser();
      const rights = { pub: { allow: publish }, sub: { allow: subscribe } };
      const jwt = await encodeUser(name, user, account, rights, { signer: key });
      return new TextDecoder().decode(fmtCreds(jwt, user));
    },
  };
}

async function accountOf({ file, content }: { file: string; content: string }): Promise<string> {
  try {
    return (await parseCreds(new TextEncoder().encode(content))).aid;
  } catch {
    throw new NatsKeyError(
      `${file} holds no NATS credentials; it must have the JWT of a user and its seed, as nsc and init.ts write them`,
    );
  }
}

function accountKey({ file, content }: { file: string; content: string }): KeyPair {
  const wrong = new NatsKeyError(
    `${file} holds no key that signs users; it must be the seed of an account, which starts with SA`,
  );
  const text = content.trim();
  if (!text.startsWith('SA')) throw wrong;
  try {
    return fromSeed(new TextEncoder().encode(text));
  } catch {
    throw wrong;
  }
}
