import type { MessagePort } from 'node:worker_threads';
import {
  chunksPerSample,
  messagesHeld,
  samplesPerFrame,
  shardsOf,
} from '@greedy-infomax/crds/frame-limits';
import { shardConsumer, shardSubject } from '@greedy-infomax/crds/names';
import { type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { eachFrame, FRAME_HEADER, type SentFrame } from './frame.ts';
import type { FromWorker, Rows, ToWorker, WorkerOptions } from './messages.ts';
import { BODY_HEADER, SharedBodyWriter } from './shared-bodies.ts';

/** Messages on their way at a time. At 1 MiB each the window of 8 MiB keeps a server busy; the client itself has no limit. */
const WINDOW = 8;
/** Milliseconds until a publish counts as lost. */
const PUBLISH_TIMEOUT = 5000;
/** Milliseconds before a full or missing stream is tried again. */
const RETRY = 20;

/** The producing end of an edge. Returns when it is told to close. */
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

/** What is published: a frame, or where its body is. */
interface Message {
  about: MsgHdrs;
  body: Uint8Array;
}

class SinkWorker {
  readonly #port: MessagePort;
  readonly #connection: NatsConnection;
  readonly #js: JetStreamClient;
  readonly #options: WorkerOptions;
  readonly #bodies: SharedBodyWriter | null;
  /** Rows not published yet, oldest first. */
  #queue: Rows[] = [];
  /** Samples in the queue from which on `block` makes the producer wait and `dropOldest` drops. */
  readonly #limit: number;
  readonly #shards: number;
  /** Shards that samples are dealt to: as many as there are trainers to read them. */
  #dealt = 1;
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
    const held = messagesHeld(edge, batchSize) + 2 * WINDOW; // on their way in, and out
    const block = edge.whenFull === 'block';
    this.#bodies = shared ? SharedBodyWriter.open(shared, producer, held, block) : null;
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
    this.#dealt = Math.max(1, Math.min(readers, this.#shards));
  }

  flush(): void {
    this.#flushing = true;
    this.#settle();
  }

  close(): void {
    this.#closed = true;
    this.#bodies?.close();
  }

  /** Samples that the next module has not asked for yet; null if the server does not say. */
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
      // No server, no stream or no right to ask: the caller goes on without the number.
    }
    this.#port.postMessage({ type: 'pending', samples } satisfies FromWorker);
  }

  #queued = (): number => this.#queue.reduce((sum, { ids }) => sum + ids.length, 0);

  #perMessage(): number {
    const { edge, batchSize } = this.#options;
    return samplesPerFrame(edge.sampleBytes, batchSize, edge.whenFull);
  }

  /** Lets a waiting producer go on when there is room. */
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
      const { producer, edge } = this.#options;
      const { bytes } = rows;
      const first = this.#group;
      const perMessage = this.#perMessage();
      const samples = rows.ids.length;
      const perSample = chunksPerSample(edge.sampleBytes);
      const groups = perMessage > 0 ? Math.ceil(samples / perMessage) : samples;
      this.#group += groups;
      const block = edge.whenFull === 'block';
      let notTaken = groups * perSample;
      const onTaken = () => {
        notTaken -= 1;
        if (notTaken === 0) free(bytes);
      };
      let i = -1;
      for (const frame of eachFrame(rows, producer, first, perMessage)) {
        i += 1;
        // block: the parts of a sample may overtake one another, samples may not.
        await this.#inFlightBelow(block && i % perSample === 0 ? 1 : WINDOW);
        const group = first + Math.floor(i / perSample);
        const subject = shardSubject(edge.subject, group % this.#dealt, this.#shards);
        const id = `${producer}:${group}:${i % perSample}`;
        const message = this.#messageOf(frame);
        if (block) void this.#publishUntilTaken(subject, message, id, onTaken);
        else
          void this.#publishOrDrop(subject, message, id, samples / (groups * perSample), onTaken);
      }
      if (block) await this.#inFlightBelow(1);
      this.#published += samples;
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

  /** `dropOldest`: what fails is counted, never sent again. */
  async #publishOrDrop(
    subject: string,
    message: Message,
    msgID: string,
    samples: number,
    onTaken: () => void,
  ): Promise<void> {
    this.#inFlight += 1;
    try {
      await this.#publish(subject, message, msgID);
      onTaken();
    } catch {
      this.#dropped += samples;
    } finally {
      this.#landed();
    }
  }

  /** `block`: again and again under the same id, so nothing is lost or doubled. */
  async #publishUntilTaken(
    subject: string,
    message: Message,
    msgID: string,
    onTaken: () => void,
  ): Promise<void> {
    this.#inFlight += 1;
    for (let taken = false; !taken && !this.#closed; ) {
      try {
        await this.#publish(subject, message, msgID);
        taken = true;
        onTaken();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
    this.#landed();
  }

  #landed(): void {
    this.#inFlight -= 1;
    this.#wake();
    this.#settle();
  }

  #messageOf({ header, body }: SentFrame): Message {
    const about = headers();
    about.set(FRAME_HEADER, header);
    const place = this.#bodies?.put(body);
    if (!place) return { about, body };
    about.set(BODY_HEADER, place);
    return { about, body: new Uint8Array(0) };
  }

  async #publish(subject: string, { about, body }: Message, msgID: string): Promise<void> {
    await this.#js.publish(subject, body, { msgID, headers: about, timeout: PUBLISH_TIMEOUT });
  }

  #settle(): void {
    if (!this.#flushing || this.#pumping || this.#queue.length > 0 || this.#inFlight > 0) return;
    this.#flushing = false;
    const counters = { published: this.#published, dropped: this.#dropped };
    this.#port.postMessage({ type: 'flushed', counters } satisfies FromWorker);
  }
}

/**
 * Frees the memory of rows once the server has them, as nobody reads them again: V8 would collect all garbage of the
 * thread for each 64 MB of them.
 */
function free({ buffer }: Uint8Array): void {
  (buffer as ArrayBuffer).transfer(0);
}
