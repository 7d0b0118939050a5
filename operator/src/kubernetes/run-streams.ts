import { checkpointStream, edgeStream, stateStream } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';
import { deleteStreams, ensureStreams } from '../nats/streams.ts';
import { ownerMetadata } from '../nats/sweep.ts';
import type { BucketPlan, StatePlan, StreamPlan } from '../plan/run.ts';
import type { RunObject } from './resource.ts';

export interface RunStreamsOptions {
  /** Null until the first connection to NATS; the caller reconciles all runs when it comes. */
  nats: () => NatsConnection | null;
  /** Name of this operator in the whole world, for its streams; undefined until it leads. */
  operator: () => string | undefined;
  /** Called when streams that nobody needs could not be deleted. */
  onLeft: () => void;
  log: Logger;
}

/** The streams of runs, on a NATS server that may be away. */
export class RunStreams {
  readonly #options: RunStreamsOptions;
  /** Uids of runs whose streams are deleted. */
  readonly #deleted = new Set<string>();

  constructor(options: RunStreamsOptions) {
    this.#options = options;
  }

  /** Makes them be as planned. False if that did not work: the run goes on without, and is looked at again. */
  async ensure(
    { metadata }: RunObject,
    streams: readonly (StreamPlan | StatePlan | BucketPlan)[],
  ): Promise<boolean> {
    const { namespace = '', name } = metadata;
    const nats = this.#options.nats();
    const operator = this.#options.operator();
    if (nats === null) return false;
    try {
      const owner = operator === undefined ? {} : ownerMetadata(operator, { namespace, run: name });
      await ensureStreams(nats, streams, owner);
      return true;
    } catch (error) {
      this.#options.log.warn({ err: error, run: name }, 'could not look after the streams');
      return false;
    }
  }

  /** Deletes all that the run can have, once; its checkpoints only with the run, and only if it says so. What is left when NATS is away, a sweep takes when it is back. */
  async delete({ metadata, spec }: RunObject): Promise<void> {
    const { namespace = '', name, uid = '' } = metadata;
    const nats = this.#options.nats();
    if (nats === null || this.#deleted.has(uid)) return;
    const modules = spec.modules.slice(0, -1); // the last one sends to nobody
    try {
      const key = { namespace, name };
      await deleteStreams(nats, [
        ...modules.map((module) => ({ name: edgeStream(key, module.name) })),
        { name: stateStream(key) },
        ...(metadata.deletionTimestamp !== undefined && !keepsCheckpoints(spec)
          ? [{ name: checkpointStream({ ...key, uid }) }]
          : []),
      ]);
      this.#deleted.add(uid);
    } catch (error) {
      this.#options.log.warn({ err: error, run: name }, 'could not delete the streams');
      this.#options.onLeft();
    }
  }

  forget(uid: string): void {
    this.#deleted.delete(uid);
  }
}

const keepsCheckpoints = ({ checkpoints }: RunObject['spec']): boolean =>
  checkpoints?.storage?.objectStore === undefined || checkpoints.retain === true;
