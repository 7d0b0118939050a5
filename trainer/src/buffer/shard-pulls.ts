import { setTimeout as sleep } from 'node:timers/promises';
import type { Edge } from '@greedy-infomax/crds';
import { shardConsumer } from '@greedy-infomax/crds/names';
import { MAX_PULLED } from '@greedy-infomax/crds/pacing';
import type { ConsumerMessages, JetStreamClient, JsMsg } from '@nats-io/jetstream';

/** Milliseconds until a pull expires; a lost stream is noticed after about that time. */
const EXPIRES = 2000;
/** Maximum milliseconds that a pull stays unread: less than two heartbeats, which come every EXPIRES / 2. */
const PATIENCE = 1000;
/** Milliseconds between attempts to find a missing stream. */
const RETRY = 250;

/** Stream and durable consumer of an edge. */
type Place = Pick<Edge, 'stream' | 'consumer'>;

/** Receives the pulled messages. */
export interface Receiver {
  isClosed(): boolean;
  /** Reports whether this receiver pulls the shard. */
  owns(shard: number): boolean;
  /** Reports whether there is room for more messages. */
  hasRoom(): boolean;
  /** Resolves when the answer of one of the methods above may have changed. */
  changed(): Promise<void>;
  receive(message: JsMsg, shard: number): void;
}

/** An error of the receiver itself, which a retry would not fix. */
class ReceiverError extends Error {
  constructor(cause: unknown) {
    super('cannot receive a message', { cause });
  }
}

/** Pulls the messages of an edge while there is room, each shard from a durable consumer of its own. */
export class ShardPulls {
  readonly #edge: Place;
  readonly #shards: number;
  readonly #receiver: Receiver;
  /** Open pulls by shard. */
  readonly #open = new Map<number, ConsumerMessages>();

  constructor(edge: Place, shards: number, receiver: Receiver) {
    this.#edge = edge;
    this.#shards = shards;
    this.#receiver = receiver;
  }

  /** Stops open pulls; `keep` pulls owned shards again. Default: all shards. */
  stop(which: (shard: number) => boolean = () => true): void {
    for (const [shard, pull] of this.#open) if (which(shard)) pull.stop();
  }

  /** Pulls a shard until the receiver is closed. Waits for a missing server or stream. */
  async keep(js: JetStreamClient, shard: number): Promise<void> {
    const receiver = this.#receiver;
    const unwanted = () => receiver.isClosed() || !receiver.owns(shard);
    const name = shardConsumer(this.#edge.consumer, shard, this.#shards);
    while (!receiver.isClosed()) {
      if (!receiver.owns(shard)) {
        await receiver.changed();
        continue;
      }
      await this.#waitForRoom();
      let full = false;
      try {
        const consumer = await js.consumers.get(this.#edge.stream, name);
        const pull = await consumer.consume({
          max_messages: MAX_PULLED,
          threshold_messages: 1,
          expires: EXPIRES,
        });
        this.#open.set(shard, pull);
        if (unwanted()) pull.stop();
        stopWhenStreamIsGone(pull);
        for await (const message of pull) {
          if (unwanted()) {
            message.nak(); // was on its way already; another trainer can get it at once
            continue;
          }
          this.#receive(message, shard);
          if (full) continue; // arrived before the pull ended
          full = !(await this.#roomWithinPatience());
          if (full) pull.stop();
        }
      } catch (error) {
        if (error instanceof ReceiverError) throw error.cause;
        // The stream is missing: the operator creates it again.
      }
      this.#open.delete(shard);
      if (!receiver.isClosed() && !full) await sleep(RETRY);
    }
  }

  #receive(message: JsMsg, shard: number): void {
    try {
      this.#receiver.receive(message, shard);
    } catch (cause) {
      throw new ReceiverError(cause);
    }
  }

  /** Resolves when there is room for more messages. */
  async #waitForRoom(): Promise<void> {
    while (!this.#receiver.isClosed() && !this.#receiver.hasRoom()) await this.#receiver.changed();
  }

  /**
   * Reports whether there is room within PATIENCE. An unread pull requests messages again each time that it misses
   * heartbeats; their total would exceed what the server buffers for a client. Messages in flight when a pull stops are
   * delivered again with `block`; with `dropOldest` they are lost and not counted.
   */
  async #roomWithinPatience(): Promise<boolean> {
    if (this.#receiver.isClosed() || this.#receiver.hasRoom()) return true;
    const late = new AbortController();
    const patience = sleep(PATIENCE, false, { signal: late.signal }).catch(() => false);
    const room = await Promise.race([this.#waitForRoom().then(() => true), patience]);
    late.abort();
    return room;
  }
}

/** Stops a pull whose stream is gone: after a restart of the server, a new memory stream counts from 1. */
function stopWhenStreamIsGone(messages: ConsumerMessages): void {
  void (async () => {
    for await (const { type } of messages.status()) {
      if (
        type === 'stream_not_found' ||
        type === 'consumer_not_found' ||
        type === 'consumer_deleted'
      ) {
        messages.stop();
      }
    }
  })();
}
