import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeUser } from '@nats-io/jwt';
import { createUser } from '@nats-io/nkeys';
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { DEFAULT_LIMITS } from '../../operator/src/nats/account-claims.ts';
import { DerivedKeys } from '../../operator/src/nats/account-keys.ts';
import { AccountStore } from '../../operator/src/nats/account-store.ts';
import { connectionOptions, type NatsAccess } from '../../operator/src/nats/connection.ts';
import {
  NamespaceAccounts,
  type NamespaceAccountsOptions,
} from '../../operator/src/nats/namespace-accounts.ts';
import { writeAuth } from '../../operator/src/nats-keys/files.ts';
import { makeAuth, type NatsAuth, resolverConfig } from '../../operator/src/nats-keys/keys.ts';
import { trainerPermissions } from '../../operator/src/plan/nats-permissions.ts';
import type { RunPlan } from '../../operator/src/plan/run.ts';
import { startNats, type TestNats } from '../support/nats.ts';

/** A NATS server that requires credentials, configured as in the chart. */

export interface ClosedNats {
  nats: TestNats;
  keys: DerivedKeys;
  /** Files written by nats-keys/main.ts. */
  systemCreds: string;
  operatorSeed: string;
  /** CA certificate, with TLS only. */
  ca: string;
  /** The operator's side, connected; closed by `stop`. */
  accounts(options?: Partial<NamespaceAccountsOptions>): Promise<NamespaceAccounts>;
  /** Writes credentials of the run's trainers; returns the file's name. */
  credsOf(accounts: NamespaceAccounts, plan: RunPlan, generation?: number): Promise<string>;
  /**
   * Connects as a user with all rights in a namespace's account, which is created if missing; the
   * caller closes it.
   */
  insider(namespace: string): Promise<NatsConnection>;
  /** Writes credentials of another server; returns the file's name. */
  strange(): Promise<string>;
  /** Writes a file that is removed with the server; returns its name. */
  write(name: string, content: string): string;
  /** Deletes the server's folder of accounts, as a new pod would. */
  loseAccounts(): void;
  /**
   * Restarts the server with new keys at its next start; the returned function renews the
   * operator's file.
   */
  renewKeys(): Promise<() => void>;
  stop(): Promise<void>;
}

interface ClosedNatsOptions {
  tls?: boolean;
  /** An address of this machine. */
  host?: string;
  /** Default: new keys. */
  auth?: NatsAuth;
  /** Additional lines of the server's configuration. */
  config?: string[];
}

export async function startClosedNats({
  tls = false,
  host = '127.0.0.1',
  auth,
  config = [],
}: ClosedNatsOptions = {}): Promise<ClosedNats> {
  const folder = mkdtempSync(join(tmpdir(), 'gim-auth-'));
  const files = auth ?? (await makeAuth());
  writeAuth(folder, files);
  const file = (name: string) => join(folder, name);
  const lines = [resolverConfig(file('accounts')), 'include "auth.conf"', ...config];
  if (tls) {
    makeCertificates(folder, host);
    lines.push(`tls { cert_file: "${file('server.crt')}", key_file: "${file('server.key')}" }`);
  }
  writeFileSync(file('server.conf'), lines.join('\n'));
  const keys = new DerivedKeys({ file: 'operator.seed', content: files['operator.seed'] });
  const nats = await startNats(host, { config: file('server.conf') });
  const access = {
    url: nats.url,
    creds: file('system.creds'),
    ...(tls && { ca: file('ca.crt') }),
  };
  const stopping = new AbortController();
  const opened: NamespaceAccounts[] = [];
  return {
    nats,
    keys,
    systemCreds: file('system.creds'),
    operatorSeed: file('operator.seed'),
    ca: file('ca.crt'),
    async accounts(options = {}) {
      const accounts = new NamespaceAccounts({
        access,
        keys,
        limits: DEFAULT_LIMITS,
        lifetimeSeconds: 3600,
        owner: () => 'us',
        log: pino({ level: 'silent' }),
        ...options,
      });
      opened.push(accounts);
      const { promise, resolve } = Promise.withResolvers<void>();
      const events = { onConnected: () => {}, onState: () => resolve() };
      accounts.start(events, stopping.signal);
      await promise;
      return accounts;
    },
    async credsOf(accounts, plan, generation = 0) {
      const { run, modules, streams, bucket } = plan;
      const edges = streams.map(({ name, consumer, sampleBytes }) => ({
        stream: name,
        consumer: consumer.name,
        sampleBytes,
      }));
      const id = { ...run, uid: modules[0]?.uid ?? '' };
      const permissions = trainerPermissions(id, edges, { bucket: bucket !== null });
      const creds = file(`${run.namespace}-${run.name}.creds`);
      const { namespace, name, uid } = id;
      const user = { namespace, uid, name, permissions, generation };
      writeFileSync(creds, await accounts.mint(user));
      return creds;
    },
    async insider(namespace) {
      const system = await connect(connectionOptions(access));
      const store = new AccountStore(system, keys, DEFAULT_LIMITS);
      const none = { memoryBytes: 0, diskBytes: 0, revocations: {} };
      if (!(await store.read(namespace))) await store.write(namespace, 'us', none);
      await system.close();
      const user = createUser();
      const rights = { pub: { allow: ['>'] }, sub: { allow: ['>'] } };
      const jwt = await encodeUser('insider', user, keys.account(namespace), rights);
      return connect({
        ...connectionOptions(withoutCreds(access)),
        reconnectTimeWait: 100,
        authenticator: jwtAuthenticator(jwt, user.getSeed()),
      });
    },
    async strange() {
      writeFileSync(file('strange.creds'), (await makeAuth())['system.creds']);
      return file('strange.creds');
    },
    write(name, content) {
      writeFileSync(file(name), content, { mode: 0o600 });
      return file(name);
    },
    loseAccounts: () => rmSync(file('accounts'), { recursive: true }),
    async renewKeys() {
      const renewed = await makeAuth();
      writeFileSync(file('auth.conf'), renewed['auth.conf']);
      return () => writeFileSync(file('system.creds'), renewed['system.creds']);
    },
    async stop() {
      stopping.abort();
      await Promise.all(opened.map((accounts) => accounts.close()));
      await nats.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

const withoutCreds = ({ creds: _, ...access }: NatsAccess): NatsAccess => access;

/** Creates a CA and a certificate signed by it for localhost and the address. */
function makeCertificates(folder: string, address: string): void {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const ca = ['-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=test CA'];
  openssl('req', '-x509', ...key, ...ca, '-days', '2');
  const names = `subjectAltName=DNS:localhost,IP:${address}`;
  const server = ['-keyout', 'server.key', '-out', 'server.crt', '-subj', '/CN=localhost'];
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-addext', names];
  openssl('req', '-x509', ...key, ...server, ...signed, '-days', '2');
}
