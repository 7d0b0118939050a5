import { readFileSync } from 'node:fs';
import { checkNatsUrl } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import { type AccountLimits, DEFAULT_LIMITS } from './account-claims.ts';
import { DerivedKeys, type KeyFile } from './account-keys.ts';
import { NamespaceAccounts } from './namespace-accounts.ts';
import { openSigner, SharedAccount } from './shared-account.ts';
import type { NatsTenants } from './tenants.ts';

/** Options of the connection to NATS, as given by flags. Keys and credentials are file names. */
export interface TenantOptions {
  url: string;
  /** With `operatorKey`: credentials of the system account. Otherwise: of the account that all runs share. */
  creds: string | undefined;
  /** Seed of an operator's signing key. If set, each namespace gets its own account. */
  operatorKey: string | undefined;
  /** Seed of a signing key of the shared account. */
  signingKey: string | undefined;
  ca: string | undefined;
  /** JSON of `AccountLimits`; missing fields have defaults. */
  limits: string | undefined;
  lifetimeSeconds: number;
  owner: () => string | undefined;
  log: Logger;
}

/** Flags contradict each other, or a value is out of range. */
export class NatsOptionsError extends Error {
  override readonly name = 'NatsOptionsError';
}

/** @throws NatsOptionsError, NatsKeyError, NatsUrlError */
export async function openTenants(options: TenantOptions): Promise<NatsTenants> {
  const { url, creds, operatorKey, signingKey, ca, lifetimeSeconds, log, owner } = options;
  if (!(lifetimeSeconds > 0)) {
    throw new NatsOptionsError('--nats-credentials-lifetime must be a number of seconds above 0');
  }
  const access = {
    url: checkNatsUrl(url),
    ...(creds !== undefined && { creds }),
    ...(ca !== undefined && { ca }),
  };
  if (operatorKey === undefined) {
    const signer = await signerOf(creds, signingKey);
    return new SharedAccount({ access, signer, lifetimeSeconds, log });
  }
  if (creds === undefined) {
    throw new NatsOptionsError(
      '--nats-operator-key needs --nats-creds with credentials of the system account',
    );
  }
  const keys = new DerivedKeys(read(operatorKey));
  const limits = parseLimits(options.limits);
  return new NamespaceAccounts({ access, keys, limits, lifetimeSeconds, owner, log });
}

async function signerOf(creds: string | undefined, key: string | undefined) {
  if (key === undefined) return null;
  if (creds === undefined) {
    throw new NatsOptionsError(
      '--nats-signing-key needs --nats-creds, whose account the new users belong to',
    );
  }
  return openSigner(read(creds), read(key));
}

const read = (file: string): KeyFile => ({ file, content: readFileSync(file, 'utf8') });

/** @throws NatsOptionsError */
export function parseLimits(text = '{}'): AccountLimits {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new NatsOptionsError('--nats-account-limits must be a JSON object');
  }
  const limits = { ...DEFAULT_LIMITS };
  for (const [name, value] of Object.entries(given as object)) {
    if (!Object.hasOwn(limits, name) || !Number.isSafeInteger(value) || value < -1) {
      throw new NatsOptionsError(
        `--nats-account-limits: ${name} must be one of ${Object.keys(limits).join(', ')}, with a whole number from -1 (unlimited)`,
      );
    }
    limits[name as keyof AccountLimits] = value;
  }
  return limits;
}
