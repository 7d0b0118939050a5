import { checkpointStream, edgeStream, stateStream } from '@greedy-infomax/crds';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../kube/clock.ts';
import { keyOf, type RunObject } from '../kube/resource.ts';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { ownerMetadata } from '../nats/sweep.ts';
import { NatsLimitError, type NatsTenants } from '../nats/tenants.ts';
import { REASONS } from '../plan/kubernetes/names.ts';
import { hash } from '../plan/kubernetes/objects.ts';
import type { Cause } from '../plan/kubernetes/types.ts';
import type { BucketPlan, StatePlan, StreamPlan } from '../plan/run.ts';

/**
 * Seconds for which streams that were as planned are taken to be so: runs are looked at more often than that. When the
 * connection breaks they are looked at again at once.
 */
const GOOD_FOR = 10;

export interface RunStreamsOptions {
  /** The caller reconciles the runs of a namespace when its connection is there. */
  nats: NatsTenants;
  /** Name of this operator in the whole world, for its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when streams that nobody needs could not be deleted. */
  onLeft: () => void;
  log: Logger;
  clock?: Clock;
}

interface Made {
  uid: string;
  /** What the run has that is to go with it. */
  names: string[];
  /** When all was last found to be as planned, and how that was. */
  good?: { at: number; plan: string };
}

/** The streams of runs, on a NATS server that may be away. */
export class RunStreams {
  readonly #options: RunStreamsOptions & { clock: Clock };
  /** Uids of runs whose streams are deleted. */
  readonly #deleted = new Set<string>();
  /** Why NATS has no room for the streams of a run; by its uid. */
  readonly #limits = new Map<string, Cause>();
  /** By the run's key. */
  readonly #made = new Map<string, Made>();

  constructor(options: RunStreamsOptions) {
    this.#options = { clock: systemClock, ...options };
  }

  /** Number of entries that are kept of runs. */
  get size(): number {
    return this.#deleted.size + this.#made.size + this.#limits.size;
  }

  /** Marks streams unverified, as after a new connection; default: those of all namespaces. */
  markUnverified(namespace?: string): void {
    for (const [key, { uid, names }] of this.#made) {
      if (namespace === undefined || key.startsWith(`${namespace}/`))
        this.#made.set(key, { uid, names });
    }
  }

  /**
   * Makes the streams as planned. Resolves with the cause if that fails: the run goes on without, and the caller tries
   * again.
   */
  async ensure(
    run: RunObject,
    streams: readonly (StreamPlan | StatePlan | BucketPlan)[],
  ): Promise<Cause | undefined> {
    const { namespace = '', name, uid = '' } = run.metadata;
    const { clock, nats } = this.#options;
    const operator = this.#options.operator();
    const owner = operator === undefined ? {} : ownerMetadata(operator, { namespace, run: name });
    const plan = hash(JSON.stringify([streams, owner]), 16);
    const before = this.#made.get(keyOf(run));
    if (before?.uid === uid && before?.good?.plan === plan) {
      if (clock.now() - before.good.at < 1000 * GOOD_FOR) return undefined;
    }
    const made: Made = { uid, names: namesOf(run, true) };
    this.#made.set(keyOf(run), made);
    let undo = async () => {};
    try {
      undo = await nats.admit({ namespace, uid, ...needsOf(streams) });
      const connection = await nats.open(namespace);
      if (connection === null) return UNREACHABLE;
      await ensureStreams(connection, streams, owner);
      this.#limits.delete(uid);
      made.good = { at: clock.now(), plan }; // no effect if the streams were marked unverified meanwhile
      return undefined;
    } catch (error) {
      this.#options.log.warn({ err: error, run: name }, 'could not create or update the streams');
      const cause = causeOf(error);
      if (cause.reason === REASONS.natsLimit) {
        this.#limits.set(uid, cause);
        await undo().catch(() => {}); // NATS is away
      }
      return cause;
    }
  }

  /** Deletes all that the run can have, once; its checkpoints only with the run, and only if it says so. What is left when NATS is away, a sweep takes when it is back. */
  async delete(run: RunObject): Promise<void> {
    const { name, uid = '', deletionTimestamp } = run.metadata;
    if (this.#deleted.has(uid)) return;
    const names = namesOf(run, deletionTimestamp !== undefined);
    const { namespace = '' } = run.metadata;
    if (!(await this.#delete({ namespace, uid }, name, names))) return;
    this.#deleted.add(uid);
    this.#made.delete(keyOf(run));
  }

  /** Notes what a deleted run leaves, for `deleteLeft`: what this process has not made, too. */
  noteDeleted(run: RunObject): void {
    const { uid = '' } = run.metadata;
    const made = this.#made.get(keyOf(run));
    // A later run of the name is there already; a sweep takes what the former has left.
    if (made !== undefined && made.uid !== uid) {
      this.#options.onLeft();
      return;
    }
    const gone = this.#deleted.has(uid) ? namesOf(run, false) : [];
    const names = namesOf(run, true).filter((name) => !gone.includes(name));
    if (names.length > 0) this.#made.set(keyOf(run), { uid, names });
  }

  /** Deletes what runs of that key have left, but not that of the run of `uid`, which is there now. */
  async deleteLeft(key: string, uid?: string): Promise<void> {
    const made = this.#made.get(key);
    if (made === undefined || made.uid === uid) return;
    const [namespace = ''] = key.split('/');
    // What cannot be deleted now is left to a sweep.
    await this.#delete({ namespace, uid: made.uid }, key, made.names);
    if (this.#made.get(key) === made) this.#made.delete(key);
  }

  /** False if they are left to a sweep. */
  async #delete(
    owner: { namespace: string; uid: string },
    run: string,
    names: string[],
  ): Promise<boolean> {
    const { nats } = this.#options;
    try {
      const connection = await nats.open(owner.namespace);
      if (connection === null) return false;
      await deleteStreams(
        connection,
        names.map((name) => ({ name })),
      );
      await nats.release(owner);
      return true;
    } catch (error) {
      this.#options.log.warn({ err: error, run }, 'could not delete the streams');
      this.#options.onLeft();
      return false;
    }
  }

  /** Why NATS had no room for the run's streams when they were last wanted; undefined if it had. */
  limitOf(uid: string): Cause | undefined {
    return this.#limits.get(uid);
  }

  forget(uid: string): void {
    this.#limits.delete(uid);
    this.#deleted.delete(uid);
  }
}

/** Streams that the run can have; `all`: with that of its checkpoints, if those are to go with it. */
function namesOf({ metadata, spec }: RunObject, all: boolean): string[] {
  const { namespace = '', name, uid = '' } = metadata;
  const key = { namespace, name };
  const senders = spec.modules.slice(0, -1); // the last one sends to nobody
  return [
    ...senders.map((module) => edgeStream(key, module.name)),
    stateStream(key),
    ...(all && !keepsCheckpoints(spec) ? [checkpointStream({ ...key, uid })] : []),
  ];
}

const keepsCheckpoints = ({ checkpoints }: RunObject['spec']): boolean =>
  checkpoints?.storage?.objectStore === undefined || checkpoints.retain === true;

/** Storage that the streams reserve. Checkpoints are on disk. */
function needsOf(streams: readonly (StreamPlan | StatePlan | BucketPlan)[]) {
  const inMemory = streams.filter((stream) => 'maxBytes' in stream);
  return {
    memoryBytes: inMemory.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
    files: inMemory.length < streams.length,
  };
}

const UNREACHABLE: Cause = { reason: REASONS.natsAway, message: 'NATS cannot be reached' };

/** Error codes of JetStream: memory, disk, streams or consumers of the account or the server are used up. */
const LIMIT_CODES: readonly number[] = [10028, 10047, 10027, 10026, 10039];

function causeOf(error: unknown): Cause {
  const { message } = error as Error;
  const isLimit =
    error instanceof NatsLimitError ||
    (error as Error).name === 'JetStreamNotEnabled' ||
    (error instanceof JetStreamApiError && LIMIT_CODES.includes(error.code));
  if (!isLimit) return { reason: REASONS.natsAway, message: `NATS: ${message}` };
  const isServer = !(error instanceof NatsLimitError);
  return {
    reason: REASONS.natsLimit,
    message: isServer
      ? `the NATS server or the account of the namespace has no room for the run's streams (${message}); the run starts when others have ended, or with more memory (nats.memoryStore.size)`
      : message,
  };
}
