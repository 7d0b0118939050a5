import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { ApiError, type Client } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { LEASES, type LeaseObject, type LeaseSpec, microTime } from './resource.ts';

export interface ElectionOptions {
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Who this is; must differ between any two processes. */
  identity: string;
  /** Annotations that the Lease has while this process holds it. */
  annotations?: Record<string, string>;
  /** Called once, when this process becomes the leader, with the lease that it holds. */
  onStarted: (lease: LeaseObject) => void;
  /** Called once if the lead is lost; another may act from now on, so the process must end. */
  onLost: () => void;
  log?: Logger;
  /** A lease not renewed for so long is free. */
  leaseSeconds?: number;
  /** A leader that could not renew for so long gives up; less than `leaseSeconds`. */
  renewDeadlineSeconds?: number;
  retrySeconds?: number;
  clock?: Clock;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  random?: () => number;
}

/**
 * Leader election on a Lease with the rules of client-go. How old a lease is, is told by when its content
 * was last seen to change here: the clocks of other machines are never compared with this one's.
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

  /** Whether this process may act: it holds the lease and nobody else can by now. */
  get isLeader(): boolean {
    return this.#leadLeft > 0;
  }

  /** Who holds the lease, as far as was seen; undefined: nobody. */
  get leader(): string | undefined {
    return this.#seen?.lease.spec?.holderIdentity || undefined;
  }

  /**
   * Waits for the lead and keeps it until it is lost, or until `signal` is aborted; then frees the lease, so
   * abort only when the work has stopped. Never throws.
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

  /** The lease could not be renewed in time, or somebody else holds it. */
  #isLost(): boolean {
    return !this.isLeader || (this.leader !== undefined && this.leader !== this.#options.identity);
  }

  /** Takes or renews the lease; false if that did not work, for whatever reason. */
  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#options;
    // The lease counts from before the request: the server may have stored it at once.
    const start = clock.now();
    try {
      if (!(await this.#takeOrRenew(signal))) return false;
      this.#renewedAt = start;
      return true;
    } catch (error) {
      // Written by somebody else or deleted: what was seen of it is out of date.
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
    // A leader knows the lease; only its own write or another's take-over changes it.
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

  /** Frees the lease, so that the next one need not wait until it runs out. */
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

  /** Seconds for a request: one that hangs must neither use up the time of others nor outlast the lead. */
  get #timeout(): number {
    const half = this.#options.renewDeadlineSeconds / 2;
    return this.isLeader ? Math.min(half, this.#leadLeft / 1000) : half;
  }
}
