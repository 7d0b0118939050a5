import pino from 'pino';
import { SharedAccount } from '../shared-account.ts';
import type { NatsTenants } from '../tenants.ts';

const log = pino({ level: 'silent' });

/** Returns tenants of a NATS server that is never reachable. */
export const noNats = (): NatsTenants =>
  new SharedAccount({
    access: { url: 'nats://127.0.0.1:1' },
    signer: null,
    lifetimeSeconds: 1,
    log,
  });

/** Returns tenants connected to an open server. */
export async function openNats(url: string): Promise<NatsTenants> {
  const nats = new SharedAccount({ access: { url }, signer: null, lifetimeSeconds: 1, log });
  const { promise, resolve } = Promise.withResolvers<void>();
  const events = { onConnected: () => resolve(), onState: () => {} };
  nats.start(events, new AbortController().signal);
  await promise;
  return nats;
}
