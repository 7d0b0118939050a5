import { checkpointStream, edgeStream, stateStream } from '@greedy-infomax/crds';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../kube/clock.ts';
import { keyOf, type RunObject } from '../kube/resource.ts';
import { deleteStreams, ensureStreams, isLimit } from '../nats/streams.ts';
import { ownerMetadata } from '../nats/sweep.ts';
import { NatsLimitError, type NatsTenants } from '../nats/tenants.ts';
import { REASONS } from '../plan/kubernetes/names.ts';
import { hash } from '../plan/kubernetes/objects.ts';
import type { Cause } from '../plan/kubernetes/types.ts';
import type { BucketPlan, StatePlan, StreamPlan } from '../plan/run.ts';

/**
 * Seconds for which streams that matched the plan are not checked again. Runs are reconciled more often than
 * that. A lost connection ends the period at once.
 */
const GOOD_FOR = 10;

export interface RunStreamsOptions {
  /** The caller reconciles the runs of a namespace when its connection is ready. */
  nats: NatsTenants;
  /** Globally unique name of this operator, noted on its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when streams that no run needs could not be deleted. */
  onLeft: () => void;
  log: Logger;
  clock?: Clock;
}

interface Made {
  uid: string;
  /** Names of the streams to delete with the run. */
  names: string[];
  /** Time of the last check that found all streams as planned, and that plan. */
  good?: { at: number; plan: string };
}

/** Streams of runs, on a NATS server that may be unreachable. */
export class RunStreams {
  readonly #options: RunStreamsOptions & { clock: Clock };
  /** Uids of runs whose streams are deleted. */
  readonly #deleted = new Set<string>();
  /** Reason why NATS has no room for the streams of a run, by uid of the run. */
  readonly #limits = new Map<string, Cause>();
  /** Streams made by this process, by key of the run. */
  readonly #made = new Map<string, Made>();

  constructor(options: RunStreamsOptions) {
    this.#options = { clock: systemClock, ...options };
  }

  /** Number of entries that are kept of runs. */
  get size(): number {
    return this.#deleted.size + this.#made.size + this.#limits.size;
  }

  /** Marks streams unverified, as after a new connection. Default: those of all namespaces. */
  markUnverified(namespace?: string): void {
    for (const [key, { uid, names }] of this.#made) {
      if (namespace === undefined || key.startsWith(`${namespace}/`))
        this.#made.set(key, { uid, names });
    }
  }

  /**
   * Creates or updates the streams as planned. Resolves with the cause if that fails; the run continues
   * without them, and the caller retries.
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
        await undo().catch(() => {}); // NATS is unreachable
      }
      return cause;
    }
  }

  /**
   * Deletes all streams that the run can have, once. Checkpoints are deleted only with the run, and only if
   * its spec asks for that. A sweep deletes what remains after NATS was unreachable.
   */
  async delete(run: RunObject): Promise<void> {
    const { name, uid = '', deletionTimestamp } = run.metadata;
    if (this.#deleted.has(uid)) return;
    const names = namesOf(run, deletionTimestamp !== undefined);
    const { namespace = '' } = run.metadata;
    if (!(await this.#delete({ namespace, uid }, name, names))) return;
    this.#deleted.add(uid);
    this.#made.delete(keyOf(run));
  }

  /**
   * Notes the streams that a deleted run leaves, for `deleteLeft`. They include streams that an earlier
   * process made.
   */
  noteDeleted(run: RunObject): void {
    const { uid = '' } = run.metadata;
    const made = this.#made.get(keyOf(run));
    // A later run of the same name exists already; a sweep deletes the streams of the former one.
    if (made !== undefined && made.uid !== uid) {
      this.#options.onLeft();
      return;
    }
    const gone = this.#deleted.has(uid) ? namesOf(run, false) : [];
    const names = namesOf(run, true).filter((name) => !gone.includes(name));
    if (names.length > 0) this.#made.set(keyOf(run), { uid, names });
  }

  /** Deletes the streams left by earlier runs of that key, except those of the existing run `uid`. */
  async deleteLeft(key: string, uid?: string): Promise<void> {
    const made = this.#made.get(key);
    if (made === undefined || made.uid === uid) return;
    const [namespace = ''] = key.split('/');
    // A sweep deletes the streams that cannot be deleted now.
    await this.#delete({ namespace, uid: made.uid }, key, made.names);
    if (this.#made.get(key) === made) this.#made.delete(key);
  }

  /** Resolves with false if the streams are left to a sweep. */
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

  /** Returns why NATS had no room for the run's streams at the last attempt; undefined if it had. */
  limitOf(uid: string): Cause | undefined {
    return this.#limits.get(uid);
  }

  forget(uid: string): void {
    this.#limits.delete(uid);
    this.#deleted.delete(uid);
  }
}

/**
 * Returns the names of streams that the run can have. With `all`, checkpoints that are deleted with the run
 * are included.
 */
function namesOf({ metadata, spec }: RunObject, all: boolean): string[] {
  const { namespace = '', name, uid = '' } = metadata;
  const key = { namespace, name };
  const senders = spec.modules.slice(0, -1); // the last module has no output stream
  return [
    ...senders.map((module) => edgeStream(key, module.name)),
    stateStream(key),
    ...(all && !keepsCheckpoints(spec) ? [checkpointStream({ ...key, uid })] : []),
  ];
}

const keepsCheckpoints = ({ checkpoints }: RunObject['spec']): boolean =>
  checkpoints?.storage?.objectStore === undefined || checkpoints.retain === true;

/** Returns the storage that the streams reserve. Checkpoints are on disk. */
function needsOf(streams: readonly (StreamPlan | StatePlan | BucketPlan)[]) {
  const inMemory = streams.filter((stream) => 'maxBytes' in stream);
  return {
    memoryBytes: inMemory.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
    files: inMemory.length < streams.length,
  };
}

const UNREACHABLE: Cause = { reason: REASONS.natsAway, message: 'NATS cannot be reached' };

function causeOf(error: unknown): Cause {
  const { message } = error as Error;
  if (error instanceof NatsLimitError) return { reason: REASONS.natsLimit, message };
  if (!isLimit(error)) return { reason: REASONS.natsAway, message: `NATS: ${message}` };
  return {
    reason: REASONS.natsLimit,
    message: `the NATS server or the account of the namespace has no room for the run's streams (${message}); the run starts when others have ended, or with more memory (nats.memoryStore.size)`,
  };
}
