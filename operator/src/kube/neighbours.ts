import type { Logger } from 'pino';
import { ApiError, type Client } from './client.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { LEASES, type LeaseObject } from './resource.ts';

/** Detects other installations of the same controller on the cluster by the Leases of their leaders. */

/** Annotation on a Lease: the namespaces that its holder watches, separated by commas; `*`: all. */
export const NAMESPACES_ANNOTATION = 'greedyinfomax.dev/namespaces';
const ALL = '*';
/** Milliseconds without a change of a lease after which its holder counts as gone: twice its duration. */
const PATIENCE = 30_000;
const LOOK_EVERY = 2_000;

export interface NeighboursOptions {
  /** Name of the Lease, the same in every installation. */
  name: string;
  /** Namespace of this installation's own Lease. */
  namespace: string;
  /** Namespaces that this installation watches; undefined: all. */
  watched: readonly string[] | undefined;
  log: Logger;
  clock?: Clock;
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

interface Seen {
  lease: LeaseObject;
  version: string | undefined;
  changedAt: number;
}

export const watchedText = (namespaces: readonly string[] | undefined): string =>
  namespaces?.join(',') ?? ALL;

/**
 * Keeps installations apart. If several watch all namespaces, one acts and the others wait. It ignores the
 * namespaces of installations that watch single ones.
 */
export class Neighbours {
  readonly #client: Client;
  readonly #options: NeighboursOptions & { clock: Clock };
  readonly #seen = new Map<string, Seen>();
  #mayLook: boolean;
  #conflict: string | undefined;
  #left: ReadonlySet<string> = new Set();

  constructor(client: Client, options: NeighboursOptions) {
    this.#client = client;
    this.#options = { clock: systemClock, wait: pause, ...options };
    // With rights in single namespaces the Leases of others are not readable; the others see this one's.
    this.#mayLook = options.watched === undefined;
  }

  /** Describes the installation that this one waits for, and what to do; undefined if there is none. */
  get conflict(): string | undefined {
    return this.#conflict;
  }

  /** Reports whether another installation manages the namespace. */
  leavesAlone(namespace: string): boolean {
    return this.#left.has(namespace);
  }

  /** Resolves when no other installation acts on all namespaces, or when `signal` is aborted. */
  async whenAlone(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const other = await this.#look(signal);
      this.#setConflict(other);
      if (other === undefined) return;
      await this.#pause(signal);
    }
  }

  /**
   * Watches for conflicts while this process leads with `own`. Resolves with a description if an installation
   * that has led for longer also acts on all namespaces; with undefined when `signal` is aborted.
   */
  async untilConflict(own: LeaseObject, signal: AbortSignal): Promise<string | undefined> {
    while (!signal.aborted && this.#mayLook) {
      const other = await this.#look(signal);
      if (other && rank(other) < rank(own)) return this.#setConflict(other);
      await this.#pause(signal);
    }
    return undefined;
  }

  #pause(signal: AbortSignal): Promise<void> {
    return (this.#options.wait ?? pause)(LOOK_EVERY, signal);
  }

  #setConflict(other: LeaseObject | undefined): string | undefined {
    const before = this.#conflict;
    this.#conflict =
      other &&
      `the operator in namespace ${other.metadata.namespace} (pod ${podOf(other)}) acts on all namespaces: remove one of the two installations, or set operator.watchNamespaces in both`;
    if (this.#conflict !== undefined && before === undefined)
      this.#options.log.error(this.#conflict);
    return this.#conflict;
  }

  /** Returns the lease of another installation that acts on all namespaces, and notes those of single ones. */
  async #look(signal: AbortSignal): Promise<LeaseObject | undefined> {
    if (!this.#mayLook) return undefined;
    const { name, namespace, log } = this.#options;
    try {
      const query = { fieldSelector: `metadata.name=${name}` };
      const { items } = await this.#client.list(LEASES, undefined, { query, signal });
      const others = items.filter(
        ({ metadata }) => metadata.name === name && metadata.namespace !== namespace,
      );
      const alive = others.filter((lease) => this.#isAlive(lease));
      const watched = alive.map(
        (lease) => lease.metadata.annotations?.[NAMESPACES_ANNOTATION] ?? ALL,
      );
      this.#left = new Set(
        watched.filter((each) => each !== ALL).flatMap((each) => each.split(',')),
      );
      return alive
        .filter((_, i) => watched[i] === ALL)
        .toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) {
        this.#mayLook = false;
        log.info('other installations of the operator are not looked for: no right to list Leases');
      } else if (!signal.aborted) log.warn({ err: error }, 'cannot look for other installations');
      return undefined;
    }
  }

  /**
   * Reports whether the lease is held and was renewed recently, by this process's own clock. A released lease
   * may be taken again at once.
   */
  #isAlive(lease: LeaseObject): boolean {
    const { clock } = this.#options;
    const { uid = '', resourceVersion: version } = lease.metadata;
    const before = this.#seen.get(uid);
    const isHeld = Boolean(lease.spec?.holderIdentity);
    if (before?.version !== version && (isHeld || before !== undefined)) {
      this.#seen.set(uid, { lease, version, changedAt: clock.now() });
    }
    const seen = this.#seen.get(uid);
    return seen !== undefined && clock.now() - seen.changedAt < PATIENCE;
  }
}

/** Returns a rank, lower for an installation that has led for longer. All observers compute the same rank. */
const rank = ({ metadata, spec }: LeaseObject): string =>
  `${spec?.acquireTime ?? ''} ${metadata.namespace}`;

const podOf = ({ spec }: LeaseObject): string =>
  (spec?.holderIdentity ?? '').replace(/_[^_]*$/, '') || 'unknown';
