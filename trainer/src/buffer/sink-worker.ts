import type { MessagePort } from 'node:worker_threads';
import { chunksPerSample, samplesPerMessage } from '@greedy-infomax/crds';
import { type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { framesOf } from './frame.ts';
import type { FromWorker, Rows, ToWorker, WorkerOptions } from './messages.ts';

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

class SinkWorker {
  readonly #port: MessagePort;
  readonly #connection: NatsConnection;
  readonly #js: JetStreamClient;
  readonly #options: WorkerOptions;
  /** Rows not published yet, oldest first. */
  #queue: Rows[] = [];
  /** Samples in the queue from which on `block` makes the producer wait and `dropOldest` drops. */
  readonly #limit: number;
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
    const { edge, batchSize } = options;
    this.#limit = edge.whenFull === 'block' ? batchSize : Math.max(2 * batchSize, edge.depth);
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

  flush(): void {
    this.#flushing = true;
    this.#settle();
  }

  close(): void {
    this.#closed = true;
  }

  /** Samples that the next module has not asked for yet; null if the server does not say. */
  async reportPending(): Promise<void> {
    const { edge } = this.#options;
    let samples: number | null = null;
    try {
      const jsm = await jetstreamManager(this.#connection, { checkAPI: false, timeout: 1000 });
      const { num_pending } = await jsm.consumers.info(edge.stream, edge.consumer);
      const perMessage = Math.min(this.#options.batchSize, samplesPerMessage(edge.sampleBytes));
      samples =
        this.#queued() + num_pending * (perMessage || 1 / chunksPerSample(edge.sampleBytes));
    } catch {
      // No server, no stream or no right to ask: the caller goes on without the number.
    }
    this.#port.postMessage({ type: 'pending', samples } satisfies FromWorker);
  }

  #queued = (): number => this.#queue.reduce((sum, { ids }) => sum + ids.length, 0);

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
      const frames = framesOf(samplesOf(rows), this.#options.producer, this.#group);
      const perSample = chunksPerSample(this.#options.edge.sampleBytes);
      this.#group += perSample === 1 ? frames.length : frames.length / perSample;
      const samplesPerFrame = rows.ids.length / frames.length;
      for (const [i, frame] of frames.entries()) {
        const id = `${this.#options.producer}:${this.#group}:${i}`;
        if (this.#options.edge.whenFull === 'block') await this.#publishUntilTaken(frame, id);
        else await this.#publishOrDrop(frame, id, samplesPerFrame);
      }
      this.#published += rows.ids.length;
      this.#admit();
    }
    this.#pumping = false;
    this.#settle();
  }

  /** `dropOldest`: up to WINDOW messages at a time; what fails is counted, never waited for. */
  async #publishOrDrop(frame: Uint8Array, msgID: string, samples: number): Promise<void> {
    while (this.#inFlight >= WINDOW) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#inFlight += 1;
    this.#js
      .publish(this.#options.edge.subject, frame, { msgID, timeout: PUBLISH_TIMEOUT })
      .catch(() => {
        this.#dropped += samples;
      })
      .finally(() => {
        this.#inFlight -= 1;
        this.#wake();
        this.#settle();
      });
  }

  /** `block`: one at a time, in order, again and again under the same id, so nothing is lost or doubled. */
  async #publishUntilTaken(frame: Uint8Array, msgID: string): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#js.publish(this.#options.edge.subject, frame, {
          msgID,
          timeout: PUBLISH_TIMEOUT,
        });
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  }

  #settle(): void {
    if (!this.#flushing || this.#pumping || this.#queue.length > 0 || this.#inFlight > 0) return;
    this.#flushing = false;
    const counters = { published: this.#published, dropped: this.#dropped };
    this.#port.postMessage({ type: 'flushed', counters } satisfies FromWorker);
  }
}

function samplesOf({ bytes, ids, labels, producerStep, madeAt }: Rows) {
  const size = bytes.length / ids.length;
  return Array.from(ids, (id, i) => ({
    id,
    label: labels[i] as number,
    producerStep,
    madeAt,
    bytes: bytes.subarray(i * size, (i + 1) * size),
  }));
}
