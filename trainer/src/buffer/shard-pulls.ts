import { setTimeout as sleep } from 'node:timers/promises';
import type { Edge } from '@greedy-infomax/crds';
import { shardConsumer } from '@greedy-infomax/crds/names';
import type { ConsumerMessages, JetStreamClient, JsMsg } from '@nats-io/jetstream';

/** Messages asked for at a time: more of up to 1 MiB each would overrun a busy client. */
export const MAX_PULLED = 4;
/** Milliseconds of one pull; a lost stream is noticed after about as long. */
const EXPIRES = 2000;
/** Milliseconds that a pull may go unread: less than two heartbeats, which come every half of EXPIRES. */
const PATIENCE = 1000;
/** Milliseconds between attempts to find a stream that is not there. */
const RETRY = 250;

/** Where an edge's messages are. */
type Place = Pick<Edge, 'stream' | 'consumer'>;

/** Who takes the messages that are pulled. */
export interface Receiver {
  isClosed(): boolean;
  /** Whether the shard is this taker's to pull. */
  owns(shard: number): boolean;
  /** Whether more messages are wanted. */
  hasRoom(): boolean;
  /** Resolves when one of the above may have another answer. */
  changed(): Promise<void>;
  receive(message: JsMsg, shard: number): void;
}

/** What went wrong with the receiver and not on the way: another attempt would not mend it. */
class ReceiverError extends Error {
  constructor(cause: unknown) {
    super('cannot take a message', { cause });
  }
}

/** Pulls an edge's messages, each shard from a durable consumer of its own, while they are wanted. */
export class ShardPulls {
  readonly #edge: Place;
  readonly #shards: number;
  readonly #receiver: Receiver;
  /** By shard. */
  readonly #open = new Map<number, ConsumerMessages>();

  constructor(edge: Place, shards: number, receiver: Receiver) {
    this.#edge = edge;
    this.#shards = shards;
    this.#receiver = receiver;
  }

  /** Stops those under way; what is owned and wanted is pulled anew. */
  stop(which: (shard: number) => boolean = () => true): void {
    for (const [shard, pull] of this.#open) if (which(shard)) pull.stop();
  }

  /** Pulls a shard until the receiver is closed. A server or a stream that is gone is waited for. */
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
            message.nak(); // was on its way already; another trainer can have it at once
            continue;
          }
          this.#receive(message, shard);
          if (full) continue; // what came before the pull ended
          full = !(await this.#roomWithinPatience());
          if (full) pull.stop();
        }
      } catch (error) {
        if (error instanceof ReceiverError) throw error.cause;
        // Not there yet, or not any more: the operator makes it again.
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

  /** Resolves when more samples are wanted. */
  async #waitForRoom(): Promise<void> {
    while (!this.#receiver.isClosed() && !this.#receiver.hasRoom()) await this.#receiver.changed();
  }

  /**
   * Whether more samples are wanted within PATIENCE. A pull that nobody reads from asks again each time that it
   * misses heartbeats, and would then be given all at once, more than the server lets a client be behind. What is
   * on its way when a pull stops comes again with `block`; with `dropOldest` it is lost, and no counter knows.
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

/** A memory stream is gone after a restart of the server, and its successor counts from 1. */
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
