import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { encodeUser } from '@nats-io/jwt';
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../kube/clock.ts';
import type { AccountLimits } from './account-claims.ts';
import type { DerivedKeys } from './account-keys.ts';
import { AccountStore } from './account-store.ts';
import { connectionOptions, connectPatiently, type NatsAccess } from './connection.ts';
import { mintUser } from './shared-account.ts';
import {
  type ConnectionEvents,
  NatsLimitError,
  type NatsTenants,
  type RunNeeds,
  type TrainerUser,
} from './tenants.ts';

/**
 * One account for each namespace (decision 18). The operator signs the accounts, pushes them to the server
 * through the system account, and keeps one connection to each account whose namespace has runs.
 */

export interface NamespaceAccountsOptions {
  /** `creds` belong to a user of the system account. */
  access: NatsAccess;
  keys: DerivedKeys;
  limits: AccountLimits;
  /** Validity of trainers' credentials, in seconds. */
  lifetimeSeconds: number;
  /** Returns the name of this operator, which is noted in the accounts that it uses. */
  owner: () => string | undefined;
  log: Logger;
  clock?: Clock;
}

/** Milliseconds that `open` waits for a new connection. */
const OPEN_WITHIN = 3000;
/**
 * Milliseconds for which an account pushed by another process keeps at least its storage: a new leader learns
 * the needs of the namespace's runs one by one.
 */
const KEEP_GRANT = 60_000;

const PUSHES_AT_ONCE = 16;
/** Milliseconds until accounts that the server did not accept are pushed again. */
const PUSH_AGAIN = 500;
/**
 * Milliseconds between attempts to reconnect. The server may not know the account yet, and looks it up each
 * time.
 */
const RECONNECT = 2000;

interface Tenant {
  namespace: string;
  needs: Map<string, RunNeeds>;
  /** Storage on the server when this process first used the account. */
  before: { memoryBytes: number; diskBytes: number; at: number };
  revocations: Map<string, number>;
  /** State last pushed to the server; undefined if the server may not know the account. */
  pushed: string | undefined;
  /** The last push; pushes run one after another. */
  pushing: Promise<void>;
  connection: NatsConnection | null;
  opening: Promise<NatsConnection | null> | undefined;
}

export class NamespaceAccounts implements NatsTenants {
  readonly #options: NamespaceAccountsOptions & { clock: Clock };
  readonly #tenants = new Map<string, Promise<Tenant>>();
  readonly #connections = new Map<string, NatsConnection>();
  #system: NatsConnection | null = null;
  #isConnected = false;
  #store: AccountStore | null = null;
  #events: ConnectionEvents | null = null;
  #stopped: AbortSignal | undefined;

  constructor(options: NamespaceAccountsOptions) {
    this.#options = { clock: systemClock, ...options };
  }

  get lifetimeSeconds(): number {
    return this.#options.lifetimeSeconds;
  }

  start(events: ConnectionEvents, signal: AbortSignal): void {
    this.#events = events;
    this.#stopped = signal;
    void this.#keep(events, signal);
  }

  async #keep(events: ConnectionEvents, signal: AbortSignal): Promise<void> {
    const { access, keys, limits, log } = this.#options;
    const name = 'greedy-infomax-operator accounts';
    const system = await connectPatiently(access, name, log, signal);
    if (system === null) return;
    this.#system = system;
    this.#store = new AccountStore(system, keys, limits);
    this.#isConnected = true;
    events.onState(true);
    await this.#pushAll();
    for await (const { type } of system.status()) {
      if (type === 'disconnect') {
        this.#isConnected = false;
        events.onState(false);
      }
      if (type !== 'reconnect') continue;
      this.#isConnected = true;
      events.onState(true);
      // The server may have lost its folder of accounts.
      void this.#pushAll();
    }
  }

  /** Retries until the server knows every account, or is unreachable again. */
  async #pushAll(): Promise<void> {
    const tenants = await Promise.all([...this.#tenants.values()]);
    for (const tenant of tenants) tenant.pushed = undefined;
    while (!this.#stopped?.aborted && this.#isConnected) {
      const missing = tenants.filter(({ pushed }) => pushed === undefined);
      if (missing.length === 0) return;
      for (let i = 0; i < missing.length; i += PUSHES_AT_ONCE) {
        const some = missing.slice(i, i + PUSHES_AT_ONCE);
        await Promise.all(
          some.map((tenant) =>
            this.#push(tenant).catch((error: unknown) => this.#warn(tenant.namespace, error)),
          ),
        );
      }
      await sleep(PUSH_AGAIN, undefined, { ref: false });
    }
  }

  #warn(namespace: string, err: unknown): void {
    this.#options.log.warn({ err, namespace }, 'could not update the NATS account');
  }

  connection(namespace: string): NatsConnection | null {
    return this.#connections.get(namespace) ?? null;
  }

  async open(namespace: string): Promise<NatsConnection | null> {
    const there = this.#connections.get(namespace);
    if (there) return there;
    if (this.#store === null) return null;
    const tenant = await this.#tenant(namespace);
    await this.#push(tenant);
    tenant.opening ??= this.#connect(tenant).finally(() => {
      tenant.opening = undefined;
    });
    return Promise.race([tenant.opening, sleep(OPEN_WITHIN, null, { ref: false })]);
  }

  async admit(run: RunNeeds): Promise<() => Promise<void>> {
    if (this.#store === null) return async () => {};
    const { namespace, uid, memoryBytes } = run;
    const tenant = await this.#tenant(namespace);
    const others = [...tenant.needs.values()].filter((each) => each.uid !== uid);
    const all = sum(others) + memoryBytes;
    const { memoryBytes: limit } = this.#options.limits;
    if (limit >= 0 && all > limit) {
      throw new NatsLimitError(
        `the run needs ${mib(memoryBytes)} of NATS memory; namespace ${namespace} may use ${mib(limit)} (nats.accounts.memory), and its other runs hold ${mib(sum(others))}`,
      );
    }
    const before = tenant.needs.get(uid);
    tenant.needs.set(uid, run);
    await this.#push(tenant);
    return async () => {
      if (before) tenant.needs.set(uid, before);
      else tenant.needs.delete(uid);
      await this.#push(tenant);
    };
  }

  async release({ namespace, uid }: { namespace: string; uid: string }): Promise<void> {
    const tenant = await this.#tenants.get(namespace);
    if (tenant?.needs.delete(uid)) await this.#push(tenant);
  }

  async revoke(
    { namespace, uid }: { namespace: string; uid: string },
    below: number,
  ): Promise<void> {
    if (this.#store === null) throw new NatsUnreachableError('NATS cannot be reached');
    const { keys, lifetimeSeconds, clock } = this.#options;
    const tenant = await this.#tenant(namespace);
    // Later than the expiry of every JWT of this key, which is never used again.
    const until = Math.floor(clock.date().getTime() / 1000) + lifetimeSeconds;
    for (let each = Math.max(0, below - REVOKED_GENERATIONS); each < below; each++) {
      const key = keys.user(uid, each).getPublicKey();
      if (!tenant.revocations.has(key)) tenant.revocations.set(key, until);
    }
    await this.#push(tenant);
  }

  mint(user: TrainerUser): Promise<string> {
    const { keys, lifetimeSeconds, clock } = this.#options;
    const { namespace, uid, generation } = user;
    const key = keys.account(namespace);
    const expires = Math.floor(clock.date().getTime() / 1000) + lifetimeSeconds;
    const signer = { account: key.getPublicKey(), key };
    return mintUser(user, keys.user(uid, generation), signer, expires);
  }

  async namespaces(all: boolean): Promise<string[]> {
    const known = all && this.#store ? await this.#store.namespaces(this.#options.owner()) : [];
    return [...new Set([...this.#tenants.keys(), ...known])];
  }

  async settle(namespace: string, isThere: (uid: string) => boolean): Promise<void> {
    const { owner } = this.#options;
    const tenant = await this.#tenants.get(namespace);
    const connection = this.#connections.get(namespace);
    const store = this.#store;
    if (!tenant || !connection || !store) return;
    for (const uid of tenant.needs.keys()) if (!isThere(uid)) tenant.needs.delete(uid);
    if (tenant.needs.size > 0) {
      await this.#push(tenant); // the storage of ended runs can be released now
      return;
    }
    const jsm = await jetstreamManager(connection, { checkAPI: false });
    const isEmpty = (await jsm.streams.names().next()).length === 0;
    if (tenant.needs.size > 0) return; // a run was created meanwhile
    const isRevoking = this.#revocations(tenant).length > 0;
    this.#tenants.delete(namespace);
    this.#connections.delete(namespace);
    await connection.close();
    // Without its account, no user of the namespace can connect. While the account exists, revoked users must
    // stay refused.
    if (isEmpty && !isRevoking) await store.delete(namespace, owner());
  }

  async close(): Promise<void> {
    const all = [...this.#connections.values(), ...(this.#system ? [this.#system] : [])];
    await Promise.all(all.map((connection) => connection.close()));
  }

  #tenant(namespace: string): Promise<Tenant> {
    const there = this.#tenants.get(namespace);
    if (there) return there;
    const made = this.#readTenant(namespace);
    this.#tenants.set(namespace, made);
    made.catch(() => this.#tenants.delete(namespace));
    return made;
  }

  async #readTenant(namespace: string): Promise<Tenant> {
    const before = await this.#store?.read(namespace);
    const { memoryBytes = 0, diskBytes = 0, revocations = {} } = before ?? {};
    return {
      namespace,
      needs: new Map(),
      before: { memoryBytes, diskBytes, at: this.#options.clock.now() },
      revocations: new Map(Object.entries(revocations)),
      pushed: undefined,
      pushing: Promise.resolve(),
      connection: null,
      opening: undefined,
    };
  }

  /** Pushes the account's limits to the server, unless it already has them. */
  #push(tenant: Tenant): Promise<void> {
    const push = async () => {
      const { owner } = this.#options;
      const grant = { ...this.#storage(tenant), revocations: this.#revocations(tenant) };
      const wanted = JSON.stringify([grant, owner()]);
      if (tenant.pushed === wanted) return;
      if (this.#store === null) throw new NatsUnreachableError('NATS cannot be reached');
      await this.#store.write(tenant.namespace, owner() ?? '', {
        ...grant,
        revocations: Object.fromEntries(grant.revocations),
      });
      tenant.pushed = wanted;
    };
    tenant.pushing = tenant.pushing.catch(() => {}).then(push);
    return tenant.pushing;
  }

  #storage({ needs, before }: Tenant): { memoryBytes: number; diskBytes: number } {
    const { clock, limits } = this.#options;
    const isFresh = clock.now() - before.at < KEEP_GRANT;
    const files = [...needs.values()].some((run) => run.files);
    return {
      memoryBytes: Math.max(sum(needs.values()), isFresh ? before.memoryBytes : 0),
      // Retained checkpoints outlive their run, so the disk limit is never reduced.
      diskBytes: files ? limits.diskBytes : before.diskBytes,
    };
  }

  /** Returns the revocations that still matter; later, the credentials have expired. */
  #revocations({ revocations }: Tenant): [string, number][] {
    const now = this.#options.clock.date().getTime() / 1000;
    for (const [key, until] of revocations) if (until < now) revocations.delete(key);
    return [...revocations].toSorted();
  }

  async #connect(tenant: Tenant): Promise<NatsConnection | null> {
    const { keys, access, log } = this.#options;
    const { namespace } = tenant;
    const user = keys.connection();
    const jwt = await encodeUser('operator', user, keys.account(namespace), {
      pub: { allow: ['>'] },
      sub: { allow: ['>'] },
    });
    const { creds: _, ...server } = access;
    try {
      const connection = await connect({
        ...connectionOptions(server),
        reconnectTimeWait: RECONNECT,
        name: `greedy-infomax-operator ${namespace}`,
        authenticator: jwtAuthenticator(jwt, user.getSeed()),
      });
      if (this.#stopped?.aborted) {
        await connection.close();
        return null;
      }
      this.#connections.set(namespace, connection);
      this.#events?.onConnected(connection, namespace, true);
      void this.#watch(connection, tenant);
      return connection;
    } catch (err) {
      tenant.pushed = undefined; // the server may have lost the account
      log.warn({ err, namespace }, 'cannot connect to the NATS account of a namespace');
      return null;
    }
  }

  async #watch(connection: NatsConnection, tenant: Tenant): Promise<void> {
    const { namespace } = tenant;
    for await (const { type } of connection.status()) {
      if (type === 'reconnect') this.#events?.onConnected(connection, namespace, false);
      if (type !== 'disconnect' || this.#connections.get(namespace) !== connection) continue;
      tenant.pushed = undefined; // the server may have lost the account
      await sleep(PUSH_AGAIN, undefined, { ref: false });
      // If the server itself was lost, all accounts are pushed when it is back.
      if (this.#isConnected) this.#push(tenant).catch((error) => this.#warn(namespace, error));
    }
    if (this.#connections.get(namespace) === connection) this.#connections.delete(namespace);
  }
}

/** Maximum number of earlier generations to revoke; older ones have expired. */
const REVOKED_GENERATIONS = 16;

/** The system account is unreachable. */
export class NatsUnreachableError extends Error {
  override readonly name = 'NatsUnreachableError';
}

const sum = (needs: Iterable<RunNeeds>): number =>
  [...needs].reduce((total, { memoryBytes }) => total + memoryBytes, 0);

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
