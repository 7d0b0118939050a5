import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { shardsOf } from '@greedy-infomax/crds/frame-limits';
import { Replay } from '@greedy-infomax/crds/replay';
import { type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Assembler } from './assembler.ts';
import { batchMemory } from './batch-memory.ts';
import type { Frame } from './frame.ts';
import { GapCounter } from './gap-counter.ts';
import { type Arrived, allOfOneMessage, copyRows, Incoming, type Origin } from './incoming.ts';
import type { Lease } from './lease.ts';
import { ShardPulls } from './shard-pulls.ts';
import type { FromWorker, SourceCounters, ToWorker, WorkerOptions } from './worker-protocol.ts';

/** Maximum number of incomplete samples per shard, from as many producers. */
const OPEN_PER_SHARD = 4;
/** Maximum milliseconds to send the last acknowledgements. */
const FLUSH_WITHIN = 1000;
/** Milliseconds between extensions of the server's wait for acknowledgements; well below `ack_wait`. */
const WORKING_EVERY = 5000;
/** Minimum milliseconds between two messages about refused ones. */
const REFUSALS_EVERY = 1000;

/** Runs the consuming end of an edge until a `close` message. */
export async function runSource(
  port: MessagePort,
  connection: NatsConnection,
  options: WorkerOptions,
): Promise<void> {
  const source = new SourceWorker(port, options);
  port.on('message', (message: ToWorker) => {
    if (message.type === 'take') source.ask(message.count, message.unused);
    else if (message.type === 'cancel') source.ask(0);
    else if (message.type === 'done') source.done();
    else if (message.type === 'share') source.share(message.readers);
    else if (message.type === 'close') source.close();
  });
  await source.pull(connection);
  // The server must receive all acknowledgements before the connection ends.
  await Promise.race([connection.flush().catch(() => {}), sleep(FLUSH_WITHIN)]);
  await connection.close();
  port.postMessage({ type: 'closed' } satisfies FromWorker);
  port.close();
}

class SourceWorker {
  readonly #port: MessagePort;
  readonly #options: WorkerOptions;
  readonly #edge: WorkerOptions['edge'];
  readonly #block: boolean;
  /** Memory of a batch that is copied from several messages. */
  readonly #batch: Buffer;
  readonly #shards: number;
  readonly #incoming: Incoming;
  readonly #assembler: Assembler;
  readonly #replay: Replay<Arrived>;
  readonly #capacity: number;
  readonly #gaps: GapCounter;
  /** Number of unused samples at which pulling stops: samples that are fetched later are fresher. */
  readonly #enough: number;
  /** Number of trainers that read the edge. */
  #readers = 1;
  #asked = 0;
  /** True if the requested samples must be unused. */
  #unused = false;
  /** Messages of incomplete samples, with their shard, by group. */
  readonly #parts = new Map<string, { shard: number; leases: Lease[] }>();
  /** `block`: messages that are not acknowledged yet. */
  readonly #unanswered = new Set<Lease>();
  /** Messages to end after the batch in use. */
  #finishing: Lease[] = [];
  /** Origin of the memory that the step is reading. */
  #using: Origin | null = null;
  #received = 0;
  /** Newest step by producer. */
  readonly #newestSteps = new Map<number, number>();
  /** Number of refused messages published to the compute thread, and the earliest time to publish more. */
  #publishedRefusals = 0;
  #publishRefusalsAt = 0;
  #closed = false;
  readonly #pulls: ShardPulls;
  #waiting: (() => void)[] = [];

  constructor(port: MessagePort, options: WorkerOptions) {
    const { edge, batchSize } = options;
    this.#incoming = new Incoming(options);
    this.#port = port;
    this.#options = options;
    this.#edge = edge;
    this.#block = edge.whenFull === 'block';
    this.#batch = Buffer.from(batchMemory(batchSize * edge.sampleBytes));
    this.#shards = shardsOf(edge.sampleBytes);
    this.#assembler = new Assembler(Math.max(16, OPEN_PER_SHARD * this.#shards), (key) =>
      this.#handBackParts(key),
    );
    this.#gaps = new GapCounter(this.#shards);
    this.#capacity = Math.max(edge.depth, batchSize);
    this.#replay = new Replay({
      whenFull: edge.whenFull,
      capacity: this.#capacity,
      maxReuse: edge.maxReuse,
    });
    this.#enough = 2 * batchSize;
    this.#pulls = new ShardPulls(edge, this.#shards, {
      isClosed: () => this.#closed,
      owns: (shard) => this.#owns(shard),
      hasRoom: () => this.#hasRoom(),
      changed: () => this.#change(),
      receive: (message, shard) => this.#receive(message, shard),
    });
  }

  /** Requests a batch of `count` samples; 0 cancels the request. */
  ask(count: number, unused = false): void {
    this.#asked = count;
    this.#unused = unused;
    this.#wake();
    this.#answer();
  }

  /** Ends the messages of the last batch after its step. */
  done(): void {
    this.#using = null;
    for (const lease of this.#finishing.splice(0)) this.#end(lease);
  }

  /** Sets the number of readers. Whole samples stay; chunks of shards that moved are handed back to the server. */
  share(readers: number): void {
    this.#readers = Math.max(1, readers);
    this.#gaps.share(this.#readers);
    this.#pulls.stop((shard) => !this.#owns(shard));
    for (const [key, { shard }] of this.#parts) {
      if (this.#owns(shard)) continue;
      this.#assembler.forget(key);
      this.#handBackParts(key);
    }
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#pulls.stop();
    for (const lease of this.#unanswered) lease.nak(); // not released: the step may still read their memory
    this.#unanswered.clear();
    this.#wake();
  }

  /** Pulls until closed. Waits for a missing server or stream. */
  async pull(connection: NatsConnection): Promise<void> {
    const js = jetstream(connection);
    const clock = setInterval(() => {
      for (const lease of this.#unanswered) lease.working();
    }, WORKING_EVERY);
    try {
      await Promise.all(
        Array.from({ length: this.#shards }, (_, shard) => this.#pulls.keep(js, shard)),
      );
    } finally {
      clearInterval(clock);
      this.#incoming.close();
    }
  }

  /** Reports whether this trainer reads the shard. All trainers read a single shard. */
  #owns(shard: number): boolean {
    return this.#shards === 1 || shard % this.#readers === this.#options.replica;
  }

  #hasRoom(): boolean {
    return this.#edge.stores && !this.#unused
      ? this.#replay.size < this.#capacity
      : this.#replay.fresh < this.#enough;
  }

  /** Resolves when samples were taken, the number of readers changed, or the source is closed. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #receive(message: JsMsg, shard: number): void {
    const { frame, lease } = this.#incoming.read(message);
    if (!this.#block && frame) this.#gaps.note(message, frame, this.#edge.sampleBytes);
    const repeated = this.#assembler.repeated;
    const samples = frame ? this.#assembler.add(frame) : [];
    if (frame === null || this.#assembler.repeated > repeated) {
      this.#end(lease);
      if (frame === null) this.#publishRefusals();
      return;
    }
    // dropOldest may lose samples, so it acknowledges at once; block acknowledges after the samples were used.
    if (this.#block) this.#unanswered.add(lease);
    else lease.ack();
    const leases = this.#partsOf(frame, lease, shard, samples.length > 0);
    const origin: Origin = { leases, outstanding: samples.length, samples: samples.length };
    const { producer } = frame;
    for (const sample of samples) {
      this.#received += 1;
      const newest = Math.max(this.#newestSteps.get(producer) ?? 0, sample.producerStep);
      this.#newestSteps.set(producer, newest);
      const evicted = this.#replay.put({ ...sample, origin, producer });
      if (evicted) this.#leave(evicted);
    }
    this.#answer();
  }

  /** Returns all messages of the frame's group so far; remembers them unless the group is whole. */
  #partsOf(frame: Frame, lease: Lease, shard: number, whole: boolean): Lease[] {
    const key = Assembler.keyOf(frame);
    const leases = [...(this.#parts.get(key)?.leases ?? []), lease];
    if (whole) this.#parts.delete(key);
    else this.#parts.set(key, { shard, leases });
    return leases;
  }

  /** Hands the messages of an incomplete sample back to the server. */
  #handBackParts(key: string): void {
    const { leases = [] } = this.#parts.get(key) ?? {};
    this.#parts.delete(key);
    for (const lease of leases) {
      lease.nak();
      this.#end(lease);
    }
  }

  /** Ends a message after its last use: answers the server, then frees the memory. */
  #end(lease: Lease): void {
    this.#unanswered.delete(lease);
    lease.ack();
    lease.release();
  }

  /** Publishes refused messages to the compute thread at most once a second, because a batch may never come. */
  #publishRefusals(): void {
    if (
      this.#incoming.refused === this.#publishedRefusals ||
      performance.now() < this.#publishRefusalsAt
    )
      return;
    this.#publishedRefusals = this.#incoming.refused;
    this.#publishRefusalsAt = performance.now() + REFUSALS_EVERY;
    this.#port.postMessage({
      type: 'counters',
      counters: this.#counters(),
    } satisfies FromWorker);
  }

  #answer(): void {
    const taken = this.#asked > 0 ? this.#replay.take(this.#asked, this.#unused) : null;
    if (taken === null) return;
    this.#asked = 0;
    const [first] = taken as [Arrived];
    const memory = this.#incoming.batchOf(first);
    const whole = memory && allOfOneMessage(taken);
    const samples = whole ?? taken;
    if (whole) this.#using = first.origin;
    else copyRows(samples, this.#batch);
    for (const sample of samples) if (!this.#replay.holds(sample)) this.#leave(sample);
    this.#port.postMessage({
      type: 'batch',
      memory: whole ? memory : (this.#batch.buffer as SharedArrayBuffer),
      info: {
        ids: Float64Array.from(samples, ({ id }) => id),
        labels: Int32Array.from(samples, ({ label }) => label),
        producerSteps: Int32Array.from(samples, ({ producerStep }) => producerStep),
        newestSteps: Int32Array.from(
          samples,
          ({ producer }) => this.#newestSteps.get(producer) ?? 0,
        ),
        madeAt: Float64Array.from(samples, ({ madeAt }) => madeAt),
      },
      counters: this.#counters(),
    } satisfies FromWorker);
    this.#wake();
  }

  /** Removes a sample after its last use; ends its messages with their last sample. */
  #leave(sample: Arrived): void {
    const { origin } = sample;
    origin.outstanding -= 1;
    if (origin.outstanding > 0) return;
    if (this.#block || origin === this.#using) this.#finishing.push(...origin.leases);
    else for (const lease of origin.leases) this.#end(lease);
  }

  #counters(): SourceCounters {
    return {
      received: this.#received,
      dropped:
        this.#replay.dropped +
        this.#gaps.samples +
        this.#assembler.incomplete +
        this.#incoming.gone,
      reused: this.#replay.reused,
      incomplete: this.#assembler.incomplete,
      refused: this.#incoming.refused,
      refusal: this.#incoming.refusal,
      repeated: this.#assembler.repeated,
    };
  }
}
