import { setTimeout as sleep } from 'node:timers/promises';
import type { Edge } from '@greedy-infomax/crds';
import { shardConsumer } from '@greedy-infomax/crds/names';
import type { ConsumerMessages, JetStreamClient, JsMsg } from '@nats-io/jetstream';

/** Messages asked for at a time: more of up to 1 MiB each would overrun a busy client. */
export const MOST_PULLED = 4;
/** Milliseconds of one pull; a lost stream is noticed after about as long. */
const EXPIRES = 2000;
/** Milliseconds that a pull may go unread: less than two heartbeats, which come every half of EXPIRES. */
const PATIENCE = 1000;
/** Milliseconds between attempts to find a stream that is not there. */
const RETRY = 250;

/** Where an edge's messages are. */
type Place = Pick<Edge, 'stream' | 'consumer'>;

/** Who takes the messages that are pulled. */
export interface Taker {
  isClosed(): boolean;
  /** Whether the shard is this taker's to pull. */
  owns(shard: number): boolean;
  /** Whether more messages are wanted. */
  hasRoom(): boolean;
  /** Resolves when one of the above may have another answer. */
  changed(): Promise<void>;
  receive(message: JsMsg, shard: number): void;
}

/** What went wrong with the taker and not on the way: another attempt would not mend it. */
class TakerFault extends Error {
  constructor(cause: unknown) {
    super('cannot take a message', { cause });
  }
}

/** Pulls an edge's messages, each shard from a durable consumer of its own, while they are wanted. */
export class ShardPulls {
  readonly #edge: Place;
  readonly #shards: number;
  readonly #taker: Taker;
  /** By shard. */
  readonly #open = new Map<number, ConsumerMessages>();

  constructor(edge: Place, shards: number, taker: Taker) {
    this.#edge = edge;
    this.#shards = shards;
    this.#taker = taker;
  }

  /** Stops those under way; what is owned and wanted is pulled anew. */
  stop(which: (shard: number) => boolean = () => true): void {
    for (const [shard, pull] of this.#open) if (which(shard)) pull.stop();
  }

  /** Pulls a shard until the taker is closed. A server or a stream that is gone is waited for. */
  async keep(js: JetStreamClient, shard: number): Promise<void> {
    const taker = this.#taker;
    const unwanted = () => taker.isClosed() || !taker.owns(shard);
    const name = shardConsumer(this.#edge.consumer, shard, this.#shards);
    while (!taker.isClosed()) {
      if (!taker.owns(shard)) {
        await taker.changed();
        continue;
      }
      await this.#room();
      let full = false;
      try {
        const consumer = await js.consumers.get(this.#edge.stream, name);
        const pull = await consumer.consume({
          max_messages: MOST_PULLED,
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
          this.#hand(message, shard);
          if (full) continue; // what came before the pull ended
          full = !(await this.#roomSoon());
          if (full) pull.stop();
        }
      } catch (error) {
        if (error instanceof TakerFault) throw error.cause;
        // Not there yet, or not any more: the operator makes it again.
      }
      this.#open.delete(shard);
      if (!taker.isClosed() && !full) await sleep(RETRY);
    }
  }

  #hand(message: JsMsg, shard: number): void {
    try {
      this.#taker.receive(message, shard);
    } catch (cause) {
      throw new TakerFault(cause);
    }
  }

  /** Resolves when more samples are wanted. */
  async #room(): Promise<void> {
    while (!this.#taker.isClosed() && !this.#taker.hasRoom()) await this.#taker.changed();
  }

  /**
   * Whether more samples are wanted within PATIENCE. A pull that nobody reads from asks again each time that it
   * misses heartbeats, and would then be given all at once, more than the server lets a client be behind. What is
   * on its way when a pull stops comes again with `block`; with `dropOldest` it is lost, and no counter knows.
   */
  async #roomSoon(): Promise<boolean> {
    if (this.#taker.isClosed() || this.#taker.hasRoom()) return true;
    const late = new AbortController();
    const patience = sleep(PATIENCE, false, { signal: late.signal }).catch(() => false);
    const room = await Promise.race([this.#room().then(() => true), patience]);
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
