import type { MessagePort } from 'node:worker_threads';
import {
  chunksPerSample,
  MESSAGE_BYTES,
  messagesHeld,
  samplesPerFrame,
  shardsOf,
} from '@greedy-infomax/crds/frame-limits';
import { shardConsumer, shardSubject } from '@greedy-infomax/crds/names';
import { FULL_STREAM_PAUSE, MAX_PULLED } from '@greedy-infomax/crds/pacing';
import { type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { type CutFrame, eachFrame, FRAME_HEADER, sealFrameHeader } from './frame.ts';
import { PAYLOAD_HEADER, SharedPayloadWriter } from './shared-memory.ts';
import type { FromWorker, Rows, ToWorker, WorkerOptions } from './worker-protocol.ts';

/** Maximum bytes and messages in flight. 8 MiB keep a server busy; the client itself has no limit. */
const WINDOW_BYTES = 8 << 20;
const WINDOW = 8;
/** Milliseconds until a publish counts as lost. */
const PUBLISH_TIMEOUT = 5000;

/** Runs the producing end of an edge until a `close` message. */
export async function runSink(
  port: MessagePort,
  connection: NatsConnection,
  options: WorkerOptions,
): Promise<void> {
  const sink = new SinkWorker(port, connection, options);
  const closed = new Promise<void>((resolve) => {
    port.on('message', (message: ToWorker) => {
      if (message.type === 'put') sink.put(message.rows);
      else if (message.type === 'flush') sink.flush();
      else if (message.type === 'share') sink.share(message.readers);
      else if (message.type === 'pending') void sink.reportPending();
      else if (message.type === 'close') resolve();
    });
  });
  await closed;
  sink.close();
  await connection.close();
  port.postMessage({ type: 'closed' } satisfies FromWorker);
  port.close();
}

/** A message to publish: a frame with its payload, or with the payload's place in shared memory. */
interface Message {
  headers: MsgHdrs;
  payload: Uint8Array;
  /** Message id: the server discards duplicates of it. */
  id: string;
  subject: string;
  /** Index of the chunk in its sample; 0 for whole samples. */
  chunk: number;
  /** Number of samples that are lost with the message; a fraction for a chunk. */
  samples: number;
}

class SinkWorker {
  readonly #port: MessagePort;
  readonly #connection: NatsConnection;
  readonly #js: JetStreamClient;
  readonly #options: WorkerOptions;
  readonly #payloads: SharedPayloadWriter | null;
  /** Maximum number of messages in flight. */
  readonly #window: number;
  /** Rows not published yet, oldest first. */
  #queue: Rows[] = [];
  /** Maximum number of samples in the queue: beyond it, `block` makes the producer wait and `dropOldest` drops. */
  readonly #limit: number;
  readonly #shards: number;
  /** Number of shards that samples are assigned to: at most one per trainer that reads the edge. */
  #usedShards = 1;
  #group = 0;
  #inFlight = 0;
  #published = 0;
  #dropped = 0;
  #waiting = 0;
  #flushing = false;
  #pumping = false;
  #closed = false;
  #wake: () => void = () => {};

  constructor(port: MessagePort, connection: NatsConnection, options: WorkerOptions) {
    this.#port = port;
    this.#connection = connection;
    this.#js = jetstream(connection, { timeout: PUBLISH_TIMEOUT });
    this.#options = options;
    const { edge, batchSize, shared, producer } = options;
    const bytes = this.#perMessage() * edge.sampleBytes || MESSAGE_BYTES;
    this.#window = Math.max(1, Math.min(WINDOW, Math.floor(WINDOW_BYTES / bytes)));
    // Messages in the stream, and those in flight to and from it.
    const slots = messagesHeld(edge, batchSize, shared !== undefined) + this.#window + MAX_PULLED;
    const block = edge.whenFull === 'block';
    this.#payloads = shared ? SharedPayloadWriter.open(shared, producer, slots, block) : null;
    this.#shards = shardsOf(edge.sampleBytes);
    this.#limit = block ? batchSize : Math.max(2 * batchSize, edge.depth);
  }

  put(rows: Rows): void {
    this.#queue.push(rows);
    if (this.#options.edge.whenFull === 'dropOldest') {
      while (this.#queue.length > 1 && this.#queued() > this.#limit) {
        this.#dropped += this.#queue.shift()?.ids.length ?? 0;
      }
    } else {
      this.#waiting += 1;
    }
    this.#admit();
    void this.#pump();
  }

  share(readers: number): void {
    this.#usedShards = Math.max(1, Math.min(readers, this.#shards));
  }

  flush(): void {
    this.#flushing = true;
    this.#settle();
  }

  close(): void {
    this.#closed = true;
    this.#payloads?.close();
  }

  /** Publishes the number of samples that the next module has not requested yet; null if the server does not answer. */
  async reportPending(): Promise<void> {
    const { edge } = this.#options;
    let samples: number | null = null;
    try {
      const jsm = await jetstreamManager(this.#connection, { checkAPI: false, timeout: 1000 });
      const consumers = await Promise.all(
        Array.from({ length: this.#shards }, (_, shard) =>
          jsm.consumers.info(edge.stream, shardConsumer(edge.consumer, shard, this.#shards)),
        ),
      );
      const pending = consumers.reduce((sum, { num_pending }) => sum + num_pending, 0);
      const perMessage = this.#perMessage();
      samples = this.#queued() + pending * (perMessage || 1 / chunksPerSample(edge.sampleBytes));
    } catch {
      // No server, no stream or no permission: the number stays null.
    }
    this.#port.postMessage({ type: 'pending', samples } satisfies FromWorker);
  }

  #queued = (): number => this.#queue.reduce((sum, { ids }) => sum + ids.length, 0);

  #perMessage(): number {
    const { edge, batchSize, shared } = this.#options;
    return samplesPerFrame(edge, batchSize, shared !== undefined);
  }

  /** Lets waiting producers continue while there is room. */
  #admit(): void {
    while (this.#waiting > 0 && this.#queued() <= this.#limit) {
      this.#waiting -= 1;
      this.#port.postMessage({ type: 'accepted' } satisfies FromWorker);
    }
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    for (let rows = this.#queue.shift(); rows && !this.#closed; rows = this.#queue.shift()) {
      const block = this.#options.edge.whenFull === 'block';
      let notTaken = 1; // 1 for the loop below, which adds more
      const onTaken = () => {
        notTaken -= 1;
        if (notTaken === 0) free(rows.bytes);
      };
      for (const message of this.#messagesOf(rows, this.#perMessage())) {
        // block: chunks of a sample may arrive out of order, samples may not.
        await this.#inFlightBelow(block && message.chunk === 0 ? 1 : this.#window);
        notTaken += 1;
        if (block) void this.#publishUntilTaken(message, onTaken);
        else void this.#publishOrDrop(message, onTaken);
      }
      onTaken();
      if (block) await this.#inFlightBelow(1);
      this.#published += rows.ids.length;
      this.#admit();
    }
    this.#pumping = false;
    this.#settle();
  }

  async #inFlightBelow(limit: number): Promise<void> {
    while (this.#inFlight >= limit) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Publishes for `dropOldest`: counts a failed message as dropped, never retries. */
  async #publishOrDrop(message: Message, onTaken: () => void): Promise<void> {
    this.#inFlight += 1;
    try {
      await this.#publish(message);
      onTaken();
    } catch {
      this.#dropped += message.samples;
    } finally {
      this.#landed();
    }
  }

  /** Publishes for `block`: retries under the same id, so no message is lost or duplicated. */
  async #publishUntilTaken(message: Message, onTaken: () => void): Promise<void> {
    this.#inFlight += 1;
    for (let taken = false; !taken && !this.#closed; ) {
      try {
        await this.#publish(message);
        taken = true;
        onTaken();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, FULL_STREAM_PAUSE));
      }
    }
    this.#landed();
  }

  #landed(): void {
    this.#inFlight -= 1;
    this.#wake();
    this.#settle();
  }

  /** Yields the messages of rows. Lazy, because each message takes a slot in shared memory. */
  *#messagesOf(rows: Rows, perMessage: number): Generator<Message> {
    const { producer, edge, batchSize } = this.#options;
    for (const frame of eachFrame(rows, producer, () => this.#group++, perMessage)) {
      const place = this.#payloads?.put(frame.payload) ?? null;
      // Without a slot, the frame is cut again into messages that fit the server's limit.
      if (place === null && frame.payload.length > MESSAGE_BYTES) {
        yield* this.#messagesOf(frame.rows, samplesPerFrame(edge, batchSize));
      } else yield this.#messageOf(frame, place);
    }
  }

  /** `place`: the payload's place in shared memory; null if the message carries it. */
  #messageOf(
    { record, payload, producer, group, chunk, chunks, rows }: CutFrame,
    place: string | null,
  ): Message {
    const about = headers();
    about.set(FRAME_HEADER, sealFrameHeader(record, place ?? ''));
    if (place !== null) about.set(PAYLOAD_HEADER, place);
    return {
      headers: about,
      payload: place === null ? payload : new Uint8Array(0),
      id: `${producer}:${group}:${chunk}`,
      subject: shardSubject(this.#options.edge.subject, group % this.#usedShards, this.#shards),
      chunk,
      samples: rows.ids.length / chunks,
    };
  }

  async #publish({ subject, payload, id, headers }: Message): Promise<void> {
    await this.#js.publish(subject, payload, { msgID: id, headers, timeout: PUBLISH_TIMEOUT });
  }

  #settle(): void {
    if (!this.#flushing || this.#pumping || this.#queue.length > 0 || this.#inFlight > 0) return;
    this.#flushing = false;
    const counters = { published: this.#published, dropped: this.#dropped };
    this.#port.postMessage({ type: 'flushed', counters } satisfies FromWorker);
  }
}

/**
 * Frees the memory of rows that the server has received. Otherwise V8 would collect all garbage of the thread for each
 * 64 MB of them.
 */
function free({ buffer }: Uint8Array): void {
  (buffer as ArrayBuffer).transfer(0);
}
