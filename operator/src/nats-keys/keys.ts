import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser } from '@nats-io/nkeys';

/**
 * Keys that secure a NATS server: the trusted operator, the system account through which accounts are pushed,
 * and the key that signs accounts (decision 18).
 */

export interface NatsAuth {
  /** Include file for nats-server.conf: the trusted operator and the system account. Contains no secret. */
  'auth.conf': string;
  /** Credentials of a user of the system account. */
  'system.creds': string;
  /** Seed of the operator's signing key: signs accounts, and the keys of accounts and users are derived from it. */
  'operator.seed': string;
}

const UNLIMITED = -1;
const SYSTEM_LIMITS = {
  subs: UNLIMITED,
  data: UNLIMITED,
  payload: UNLIMITED,
  imports: UNLIMITED,
  exports: UNLIMITED,
  wildcards: true,
  conn: UNLIMITED,
  leaf: UNLIMITED,
};

/** Creates new keys. The private keys of the operator's identity and of the system account are discarded. */
export async function makeAuth(): Promise<NatsAuth> {
  const [operator, signing] = [createOperator(), createOperator()];
  const system = createAccount();
  const account = system.getPublicKey();
  const operatorJwt = await encodeOperator('greedy-infomax', operator, {
    system_account: account,
    signing_keys: [signing.getPublicKey()],
  });
  const signer = { signer: operator };
  const systemJwt = await encodeAccount('system', system, { limits: SYSTEM_LIMITS }, signer);
  const user = createUser();
  const rights = { pub: { allow: ['$SYS.REQ.>'] }, sub: { allow: ['_INBOX.>'] } };
  const userJwt = await encodeUser('operator', user, system, rights);
  const lines = [
    `operator: ${operatorJwt}`,
    `system_account: ${account}`,
    `resolver_preload: { ${account}: ${systemJwt} }`,
  ];
  const text = new TextDecoder();
  return {
    'auth.conf': `${lines.join('\n')}\n`,
    'system.creds': text.decode(fmtCreds(userJwt, user)),
    'operator.seed': `${text.decode(signing.getSeed())}\n`,
  };
}

/** Returns the section of nats-server.conf that keeps accounts in `folder`. */
export const resolverConfig = (folder: string): string =>
  `resolver: { type: full, dir: "${folder}", allow_delete: true, limit: 100000, timeout: "500ms" }`;
