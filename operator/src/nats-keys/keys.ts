import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';

/**
 * The keys that close a NATS server: one account that holds all runs, and who may come in. The server
 * checks signatures and keeps no list of users, so a user for each run takes no word with it.
 */

export interface NatsAuth {
  /** For nats-server.conf to include: whom the server trusts, and the accounts. Nothing in it is secret. */
  'auth.conf': string;
  /** Of the operator: every right in the account of the runs. */
  'operator.creds': string;
  /** Signs users of that account. */
  'signing.seed': string;
}

const NO_LIMIT = -1;
const ACCOUNT_LIMITS = {
  subs: NO_LIMIT,
  data: NO_LIMIT,
  payload: NO_LIMIT,
  imports: NO_LIMIT,
  exports: NO_LIMIT,
  wildcards: true,
  conn: NO_LIMIT,
  leaf: NO_LIMIT,
};
const JETSTREAM_LIMITS = {
  mem_storage: NO_LIMIT,
  disk_storage: NO_LIMIT,
  streams: NO_LIMIT,
  consumer: NO_LIMIT,
};

/**
 * Makes everything anew. The keys of the NATS operator and of both accounts are thrown away with the
 * return: nobody can make another account, or widen this one, ever again.
 */
export async function makeAuth(): Promise<NatsAuth> {
  const operator = createOperator();
  const system = createAccount();
  const account = createAccount();
  const signing = createAccount();
  const operatorJwt = await encodeOperator('greedy-infomax', operator, {
    system_account: system.getPublicKey(),
  });
  const systemJwt = await encodeAccount(
    'system',
    system,
    { limits: ACCOUNT_LIMITS },
    { signer: operator },
  );
  const accountJwt = await encodeAccount(
    'greedy-infomax',
    account,
    {
      limits: { ...ACCOUNT_LIMITS, ...JETSTREAM_LIMITS },
      signing_keys: [signing.getPublicKey()],
    },
    { signer: operator },
  );
  const user = createUser();
  const userJwt = await encodeUser(
    'operator',
    user,
    account.getPublicKey(),
    { pub: { allow: ['>'] }, sub: { allow: ['>'] } },
    { signer: signing },
  );
  return {
    'auth.conf': `${[
      `operator: ${operatorJwt}`,
      `system_account: ${system.getPublicKey()}`,
      'resolver: MEMORY',
      'resolver_preload: {',
      `  ${system.getPublicKey()}: ${systemJwt}`,
      `  ${account.getPublicKey()}: ${accountJwt}`,
      '}',
    ].join('\n')}\n`,
    'operator.creds': new TextDecoder().decode(fmtCreds(userJwt, user)),
    'signing.seed': `${seedOf(signing)}\n`,
  };
}

const seedOf = (key: KeyPair): string => new TextDecoder().decode(key.getSeed());
