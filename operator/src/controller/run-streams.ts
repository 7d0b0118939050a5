import { checkpointStream, edgeStream, stateStream } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../kube/clock.ts';
import { keyOf, type RunObject } from '../kube/resource.ts';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { ownerMetadata } from '../nats/sweep.ts';
import { hash } from '../plan/kubernetes/objects.ts';
import type { BucketPlan, StatePlan, StreamPlan } from '../plan/run.ts';

/**
 * Seconds for which streams that were as planned are taken to be so: runs are looked at more often than that. When the
 * connection breaks they are looked at again at once.
 */
const GOOD_FOR = 10;

export interface RunStreamsOptions {
  /** Null until the first connection to NATS; the caller reconciles all runs when it comes. */
  nats: () => NatsConnection | null;
  /** Name of this operator in the whole world, for its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when streams that nobody needs could not be deleted. */
  onLeft: () => void;
  log: Logger;
  clock?: Clock;
}

interface Made {
  uid: string | undefined;
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
  /** By the run's key. */
  readonly #made = new Map<string, Made>();

  constructor(options: RunStreamsOptions) {
    this.#options = { clock: systemClock, ...options };
  }

  /** What was there may be gone, as after a new connection. */
  doubt(): void {
    for (const [key, { uid, names }] of this.#made) this.#made.set(key, { uid, names });
  }

  /** Makes them be as planned. False if that did not work: the run goes on without, and is looked at again. */
  async ensure(
    run: RunObject,
    streams: readonly (StreamPlan | StatePlan | BucketPlan)[],
  ): Promise<boolean> {
    const { namespace = '', name, uid } = run.metadata;
    const { clock } = this.#options;
    const nats = this.#options.nats();
    const operator = this.#options.operator();
    if (nats === null) return false;
    const owner = operator === undefined ? {} : ownerMetadata(operator, { namespace, run: name });
    const plan = hash(JSON.stringify([streams, owner]), 16);
    const before = this.#made.get(keyOf(run));
    if (before?.uid === uid && before?.good?.plan === plan) {
      if (clock.now() - before.good.at < 1000 * GOOD_FOR) return true;
    }
    const made: Made = { uid, names: namesOf(run, true) };
    this.#made.set(keyOf(run), made);
    try {
      await ensureStreams(nats, streams, owner);
      made.good = { at: clock.now(), plan }; // of no effect if it was doubted meanwhile
      return true;
    } catch (error) {
      this.#options.log.warn({ err: error, run: name }, 'could not look after the streams');
      return false;
    }
  }

  /** Deletes all that the run can have, once; its checkpoints only with the run, and only if it says so. What is left when NATS is away, a sweep takes when it is back. */
  async delete(run: RunObject): Promise<void> {
    const { name, uid = '', deletionTimestamp } = run.metadata;
    if (this.#deleted.has(uid)) return;
    const names = namesOf(run, deletionTimestamp !== undefined);
    if (!(await this.#delete(name, names))) return;
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
    // What cannot be deleted now is left to a sweep.
    await this.#delete(key, made.names);
    if (this.#made.get(key) === made) this.#made.delete(key);
  }

  /** False if they are left to a sweep. */
  async #delete(run: string, names: string[]): Promise<boolean> {
    const nats = this.#options.nats();
    if (nats === null) return false;
    try {
      await deleteStreams(
        nats,
        names.map((name) => ({ name })),
      );
      return true;
    } catch (error) {
      this.#options.log.warn({ err: error, run }, 'could not delete the streams');
      this.#options.onLeft();
      return false;
    }
  }

  forget(uid: string): void {
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
