import type { MessagePort } from 'node:worker_threads';
import { chunksPerSample } from '@greedy-infomax/crds';
import { type ConsumerMessages, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Assembler } from './assembler.ts';
import { type Frame, FrameError, parseFrame, type Sample } from './frame.ts';
import type { FromWorker, SourceCounters, ToWorker, WorkerOptions } from './messages.ts';
import { Replay } from './replay.ts';

/** Messages asked for at a time: more of up to 1 MiB each would overrun a busy client. */
const MAX_MESSAGES = 4;
/** Milliseconds of one pull; a lost stream is noticed after about as long. */
const EXPIRES = 2000;
/** Milliseconds between attempts to find a stream that is not there. */
const RETRY = 250;

/** A sample with the messages that it came in. */
interface Arrived extends Sample {
  origin: Origin;
}

/** Messages that are acknowledged when the last of their samples has been used. */
interface Origin {
  messages: JsMsg[];
  outstanding: number;
}

/** The consuming end of an edge. Returns when it is told to close. */
export async function runSource(
  port: MessagePort,
  connection: NatsConnection,
  { edge, batchSize, batch }: WorkerOptions,
): Promise<void> {
  const source = new SourceWorker(
    port,
    edge,
    batchSize,
    new Uint8Array(batch as SharedArrayBuffer),
  );
  port.on('message', (message: ToWorker) => {
    if (message.type === 'take') source.ask(message.count);
    else if (message.type === 'cancel') source.ask(0);
    else if (message.type === 'done') source.done();
    else if (message.type === 'close') source.close();
  });
  await source.pull(connection);
  await connection.close();
  port.postMessage({ type: 'closed' } satisfies FromWorker);
  port.close();
}

class SourceWorker {
  readonly #port: MessagePort;
  readonly #edge: WorkerOptions['edge'];
  readonly #batch: Uint8Array;
  readonly #assembler: Assembler;
  readonly #replay: Replay<Arrived>;
  /** Unused samples from which on no more are pulled: what is not wanted yet is fresher if fetched later. */
  readonly #enough: number;
  #asked = 0;
  /** `block`: messages of samples that are not whole yet. */
  readonly #parts = new Map<string, JsMsg[]>();
  /** `block`: messages whose last sample is in the batch that is being used. */
  #finishing: Origin[] = [];
  #received = 0;
  #refused = 0;
  #skipped = 0;
  #lastSequence = 0;
  #newestStep = 0;
  #closed = false;
  #messages: ConsumerMessages | null = null;
  #wake: () => void = () => {};

  constructor(
    port: MessagePort,
    edge: WorkerOptions['edge'],
    batchSize: number,
    batch: Uint8Array,
  ) {
    this.#port = port;
    this.#edge = edge;
    this.#batch = batch;
    this.#assembler = new Assembler(edge.sampleBytes);
    this.#replay = new Replay({
      whenFull: edge.whenFull,
      capacity: Math.max(edge.depth, batchSize),
      maxReuse: edge.maxReuse,
    });
    this.#enough = 2 * batchSize;
  }

  ask(count: number): void {
    this.#asked = count;
    this.#answer();
  }

  /** The step that used the last batch is over. */
  done(): void {
    for (const message of this.#finishing.splice(0).flatMap(({ messages }) => messages))
      message.ack();
  }

  close(): void {
    this.#closed = true;
    this.#messages?.stop();
    this.#wake();
  }

  /** Pulls until closed. A server or a stream that is gone is waited for. */
  async pull(connection: NatsConnection): Promise<void> {
    const js = jetstream(connection);
    while (!this.#closed) {
      try {
        const consumer = await js.consumers.get(this.#edge.stream, this.#edge.consumer);
        this.#messages = await consumer.consume({ max_messages: MAX_MESSAGES, expires: EXPIRES });
        this.#stopWhenStreamIsGone(this.#messages);
        for await (const message of this.#messages) {
          this.#receive(message);
          await this.#room();
          if (this.#closed) break;
        }
      } catch {
        // Not there yet, or not any more: the operator makes it again.
      }
      if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  }

  /** A memory stream is gone after a restart of the server, and its successor counts from 1. */
  #stopWhenStreamIsGone(messages: ConsumerMessages): void {
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

  /** Resolves when more samples are wanted. */
  async #room(): Promise<void> {
    while (!this.#closed && this.#replay.fresh >= this.#enough) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #receive(message: JsMsg): void {
    const frame = this.#parse(message);
    this.#countSkipped(message.info.streamSequence, frame);
    const repeated = this.#assembler.repeated;
    const samples = frame ? this.#assembler.add(frame) : [];
    // dropOldest: a lost sample is no loss. block: only what has been used may leave the stream.
    const settled =
      this.#edge.whenFull === 'dropOldest' || frame === null || this.#assembler.repeated > repeated;
    if (settled) message.ack();
    const messages = settled ? [] : this.#partsOf(frame, message, samples.length > 0);
    const origin: Origin = { messages, outstanding: samples.length };
    for (const sample of samples) {
      this.#received += 1;
      this.#newestStep = Math.max(this.#newestStep, sample.producerStep);
      this.#replay.put({ ...sample, origin });
    }
    this.#answer();
  }

  /** The messages of a sample, once it is whole; collects them until then. */
  #partsOf({ producer, group }: Frame, message: JsMsg, whole: boolean): JsMsg[] {
    const key = `${producer}:${group}`;
    const messages = [...(this.#parts.get(key) ?? []), message];
    if (whole) this.#parts.delete(key);
    else this.#parts.set(key, messages);
    return messages;
  }

  #parse(message: JsMsg): Frame | null {
    try {
      return parseFrame(message.data, this.#edge.sampleBytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#refused += 1;
      return null;
    }
  }

  /** A gap in the stream's numbers is what was discarded because this module is slower than the one before. */
  #countSkipped(sequence: number, frame: Frame | null): void {
    const missing = sequence - this.#lastSequence - 1;
    if (this.#lastSequence > 0 && missing > 0 && frame) {
      this.#skipped += missing * (frame.samples.length / chunksPerSample(this.#edge.sampleBytes));
    }
    this.#lastSequence = Math.max(sequence, this.#lastSequence);
    if (sequence === 1) this.#lastSequence = 1;
  }

  #answer(): void {
    const samples = this.#asked > 0 ? this.#replay.take(this.#asked) : null;
    if (samples === null) return;
    this.#asked = 0;
    const size = this.#edge.sampleBytes;
    for (const [i, sample] of samples.entries()) {
      this.#batch.set(sample.bytes, i * size);
      sample.origin.outstanding -= 1;
      if (this.#edge.whenFull === 'block' && sample.origin.outstanding === 0) {
        this.#finishing.push(sample.origin);
      }
    }
    this.#port.postMessage({
      type: 'batch',
      info: {
        ids: Float64Array.from(samples, ({ id }) => id),
        labels: Int32Array.from(samples, ({ label }) => label),
        producerSteps: Int32Array.from(samples, ({ producerStep }) => producerStep),
        madeAt: Float64Array.from(samples, ({ madeAt }) => madeAt),
      },
      newestStep: this.#newestStep,
      counters: this.#counters(),
    } satisfies FromWorker);
    this.#wake();
  }

  #counters(): SourceCounters {
    return {
      received: this.#received,
      dropped: this.#replay.dropped + Math.round(this.#skipped) + this.#assembler.torn,
      reused: this.#replay.reused,
      torn: this.#assembler.torn,
      refused: this.#refused,
      repeated: this.#assembler.repeated,
    };
  }
}
