import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { ApiError, type Client } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { LEASES, type LeaseObject, type LeaseSpec, microTime } from './resource.ts';

export interface ElectionOptions {
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Identity of this process; must be unique. */
  identity: string;
  /** Annotations of the Lease while this process holds it. */
  annotations?: Record<string, string>;
  /** Called once, when this process becomes the leader, with its lease. */
  onStarted: (lease: LeaseObject) => void;
  /** Called once if the lead is lost. Another process may act from now on, so this one must end. */
  onLost: () => void;
  log?: Logger;
  /** Seconds without renewal after which a lease is free. */
  leaseSeconds?: number;
  /** Seconds without renewal after which the leader gives up; less than `leaseSeconds`. */
  renewDeadlineSeconds?: number;
  retrySeconds?: number;
  clock?: Clock;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
}

/**
 * Leader election on a Lease with the rules of client-go. The age of a lease is measured from its last change
 * observed here: clocks of different machines are never compared.
 */
export class Election {
  readonly #client: Client;
  readonly #options: Required<Omit<ElectionOptions, 'log'>> & Pick<ElectionOptions, 'log'>;
  #seen: { lease: LeaseObject; at: number } | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(client: Client, options: ElectionOptions) {
    this.#client = client;
    this.#options = {
      leaseSeconds: 15,
      renewDeadlineSeconds: 10,
      retrySeconds: 2,
      clock: systemClock,
      wait: pause,
      random: Math.random,
      annotations: {},
      ...options,
    };
  }

  /** Reports whether this process may act: it holds the lease, and no other process can hold it yet. */
  get isLeader(): boolean {
    return this.#leadLeft > 0;
  }

  /** Identity of the lease's holder as last observed; undefined if there is none. */
  get leader(): string | undefined {
    return this.#seen?.lease.spec?.holderIdentity || undefined;
  }

  /**
   * Waits for the lead and keeps it until it is lost, or until `signal` is aborted. Then it releases the
   * lease, so abort only after all work has stopped. Never throws.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { onStarted, onLost, retrySeconds, wait, random, log, identity } = this.#options;
    while (!signal.aborted && !(await this.#tryOnce(signal))) {
      await wait(retrySeconds * 1000 * (1 + 0.2 * random()), signal);
    }
    if (!signal.aborted && this.#seen) {
      log?.info({ identity }, 'leading');
      onStarted(this.#seen.lease);
    }
    while (!signal.aborted) {
      await wait(Math.min(retrySeconds * 1000, this.#leadLeft), signal);
      if (signal.aborted || (await this.#tryOnce(signal))) continue;
      if (this.#isLost()) {
        this.#renewedAt = Number.NEGATIVE_INFINITY;
        log?.error({ identity, leader: this.leader }, 'lost the lead');
        onLost();
        return;
      }
    }
    await this.#release();
  }

  /** Reports whether the lease was not renewed in time, or another process holds it. */
  #isLost(): boolean {
    return !this.isLeader || (this.leader !== undefined && this.leader !== this.#options.identity);
  }

  /** Acquires or renews the lease. Resolves with false if that failed for any reason. */
  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#options;
    // The lease counts from before the request, because the server may have stored it at once.
    const start = clock.now();
    try {
      if (!(await this.#takeOrRenew(signal))) return false;
      this.#renewedAt = start;
      return true;
    } catch (error) {
      // Written by another process or deleted: the observed lease is out of date.
      if (error instanceof ApiError) await this.#look(signal).catch(() => {});
      if (!signal.aborted) log?.warn({ err: error }, 'cannot take or renew the lease');
      return false;
    }
  }

  async #takeOrRenew(signal: AbortSignal): Promise<boolean> {
    const { clock, leaseSeconds, identity, namespace, name, annotations } = this.#options;
    const renewTime = microTime(clock.date());
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: renewTime,
      renewTime,
      leaseTransitions: 0,
    };
    // A leader knows the lease; only its own write or a takeover changes it.
    const lease = this.isLeader ? this.#seen?.lease : await this.#look(signal);
    if (!lease) {
      const options = { signal, timeoutSeconds: this.#timeout };
      const fresh = { metadata: { namespace, name, annotations }, spec };
      this.#see(await this.#client.create(LEASES, fresh, options));
      return true;
    }
    const old = lease.spec ?? {};
    const isMine = old.holderIdentity === identity;
    if (!isMine && this.#isHeld()) return false;
    const transitions = old.leaseTransitions ?? 0;
    await this.#write(lease, {
      ...spec,
      acquireTime: isMine ? (old.acquireTime ?? renewTime) : renewTime,
      leaseTransitions: isMine ? transitions : transitions + 1,
    });
    return true;
  }

  #isHeld(): boolean {
    if (!this.#seen || !this.leader) return false;
    const { leaseDurationSeconds = this.#options.leaseSeconds } = this.#seen.lease.spec ?? {};
    return this.#options.clock.now() - this.#seen.at < leaseDurationSeconds * 1000;
  }

  async #look(signal: AbortSignal): Promise<LeaseObject | undefined> {
    const { namespace, name } = this.#options;
    const options = { signal, timeoutSeconds: this.#timeout };
    const lease = await this.#client.get(LEASES, namespace, name, options);
    if (lease) this.#see(lease);
    else this.#seen = undefined;
    return lease;
  }

  async #write(lease: LeaseObject, spec: LeaseSpec, signal?: AbortSignal): Promise<void> {
    const annotations = { ...lease.metadata.annotations, ...this.#options.annotations };
    const metadata = { ...lease.metadata, annotations };
    const next = { ...lease, metadata, spec: { ...lease.spec, ...spec } };
    const options = { signal, timeoutSeconds: this.#timeout };
    this.#see(await this.#client.replace(LEASES, next, options));
  }

  #see(lease: LeaseObject): void {
    const isNew = !isDeepStrictEqual(this.#seen?.lease.spec, lease.spec);
    this.#seen = { lease, at: isNew ? this.#options.clock.now() : (this.#seen?.at ?? 0) };
  }

  /** Releases the lease, so that the next leader need not wait until it expires. */
  async #release(): Promise<void> {
    if (!this.isLeader || !this.#seen) return;
    this.#renewedAt = Number.NEGATIVE_INFINITY;
    const renewTime = microTime(this.#options.clock.date());
    try {
      const spec = { holderIdentity: '', leaseDurationSeconds: 1, renewTime };
      await this.#write(this.#seen.lease, spec);
    } catch (error) {
      this.#options.log?.warn({ err: error }, 'cannot free the lease; it will run out');
    }
  }

  /** Milliseconds for which this process may still act without a renewal. */
  get #leadLeft(): number {
    const { clock, renewDeadlineSeconds } = this.#options;
    return Math.max(0, this.#renewedAt + renewDeadlineSeconds * 1000 - clock.now());
  }

  /**
   * Timeout of a request in seconds. A hanging request must neither use up the time of others nor outlast the
   * lead.
   */
  get #timeout(): number {
    const half = this.#options.renewDeadlineSeconds / 2;
    return this.isLeader ? Math.min(half, this.#leadLeft / 1000) : half;
  }
}
