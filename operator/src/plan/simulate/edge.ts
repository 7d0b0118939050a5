import { FULL_STREAM_PAUSE, MAX_PULLED } from '@greedy-infomax/crds';
import { Replay } from '@greedy-infomax/crds/replay';
import type { Cores } from './cores.ts';
import type { Link, Pipeline, Sample, Stage } from './pipeline.ts';

/** An edge: what producers have put, the stream, and what each consumer has fetched from it. */

export class Edge {
  /** Milliseconds that the link was busy. */
  busy = 0;
  readonly #link: Link;
  readonly #cores: Cores;
  readonly #block: boolean;
  readonly #stores: boolean;
  readonly #batchSize: number;
  /** Batches that wait to be sent, and the producers that wait until theirs may. */
  readonly #queue: Sample[][] = [];
  /** Samples that no consumer has fetched in time. */
  #lost = 0;
  #sending = false;
  #putters: (() => void)[] = [];
  /** Messages that no consumer has fetched. */
  #stream: Sample[][] = [];
  /** `block`: samples in the stream, those that are being used included. */
  #occupied = 0;
  readonly #consumers: Consumer[];
  /** Index of the consumer that fetches next. */
  #turn = 0;

  constructor(
    link: Link,
    pipeline: Pipeline,
    consumers: Pick<Stage, 'replicas' | 'batchSize'>,
    cores: Cores,
  ) {
    this.#link = link;
    this.#cores = cores;
    this.#block = pipeline.whenFull === 'block';
    this.#stores = pipeline.stores;
    this.#batchSize = consumers.batchSize;
    const capacity = Math.max(link.depth, consumers.batchSize);
    this.#consumers = Array.from({ length: consumers.replicas }, () => ({
      fetched: [],
      held: new Replay({ whenFull: pipeline.whenFull, capacity, maxReuse: pipeline.maxReuse }),
      newest: new Map(),
      wanted: null,
    }));
  }

  /** Reports whether half of the buffer is unfetched, so that more would be sent in vain. */
  get hasEnough(): boolean {
    return samplesIn(this.#stream) + samplesIn(this.#queue) >= this.#link.depth / 2;
  }

  get reused(): number {
    return this.#consumers.reduce((sum, { held }) => sum + held.reused, 0);
  }

  get dropped(): number {
    return this.#consumers.reduce((sum, { held }) => sum + held.dropped, this.#lost);
  }

  /** Hands a batch over and calls `then` when the producer may go on. */
  put(batch: Sample[], then: () => void): void {
    this.#queue.push(batch);
    if (this.#block) this.#putters.push(then);
    else {
      const limit = Math.max(2 * batch.length, this.#link.depth);
      while (this.#queue.length > 1 && samplesIn(this.#queue) > limit) {
        this.#lost += this.#queue.shift()?.length ?? 0;
      }
      then();
    }
    this.#send();
  }

  /** Calls `then` with a batch as soon as there is one. */
  take(consumer: number, unused: boolean, then: (batch: Sample[], stale: number[]) => void): void {
    const one = this.#consumers[consumer] as Consumer;
    one.wanted = { unused, then };
    this.#unpack(one);
    this.#deal();
  }

  /** The step that used the batch is over. */
  done(samples: number): void {
    this.#occupied -= samples;
  }

  #send(): void {
    if (this.#sending) return;
    const batch = this.#queue.shift();
    this.#admit();
    if (!batch) return;
    this.#sending = true;
    const bytes = batch.length * this.#link.sampleBytes;
    const ms = bytes / 1000 / this.#link.megabytesPerSecond;
    const cpuMs = (bytes / 1e6) * this.#link.cpuSecondsPerGigabyte;
    // A link of unlimited speed still costs its processor time.
    const took = Math.max(ms, cpuMs);
    this.busy += took;
    this.#cores.start(took, took > 0 ? cpuMs / took : 0, () => this.#arrive(batch));
  }

  /** `block`: a producer goes on while no more than a batch waits. */
  #admit(): void {
    while (this.#putters.length > 0 && this.#queue.length <= 1) this.#putters.shift()?.();
  }

  #arrive(batch: Sample[]): void {
    const { samplesPerMessage, depth } = this.#link;
    if (this.#block && this.#occupied > 0 && this.#occupied + batch.length > depth) {
      this.#cores.start(FULL_STREAM_PAUSE, 0, () => this.#arrive(batch));
      return;
    }
    this.#occupied += batch.length;
    for (let i = 0; i < batch.length; i += samplesPerMessage) {
      this.#stream.push(batch.slice(i, i + samplesPerMessage));
    }
    this.#sending = false;
    this.#deal();
    // As much as was full before the new batch came: at least two messages stay.
    while (
      !this.#block &&
      this.#stream.length > 2 &&
      samplesIn(this.#stream) > Math.max(depth, batch.length)
    ) {
      this.#lost += this.#stream.shift()?.length ?? 0;
    }
    this.#send();
  }

  /** Consumers fetch in turn while they have room. */
  #deal(): void {
    let refused = 0;
    while (this.#stream.length > 0 && refused < this.#consumers.length) {
      const consumer = this.#consumers[this.#turn % this.#consumers.length] as Consumer;
      this.#turn += 1;
      if (consumer.fetched.length >= MAX_PULLED) refused += 1;
      else {
        refused = 0;
        consumer.fetched.push(this.#stream.shift() as Sample[]);
        this.#unpack(consumer);
      }
    }
  }

  /** Takes samples out of fetched messages until there are enough, and answers who waits for a batch. */
  #unpack(consumer: Consumer): void {
    const { fetched, held, newest } = consumer;
    let message: Sample[] | undefined;
    do {
      message = this.#holdsEnough(consumer) ? undefined : fetched.shift();
      for (const sample of message ?? []) {
        newest.set(sample.producer, Math.max(newest.get(sample.producer) ?? 0, sample.step));
        held.put(sample);
      }
      this.#answer(consumer);
    } while (message);
  }

  #holdsEnough({ held, wanted }: Consumer): boolean {
    return this.#stores && !wanted?.unused
      ? held.size >= Math.max(this.#link.depth, this.#batchSize)
      : held.fresh >= 2 * this.#batchSize;
  }

  #answer(consumer: Consumer): void {
    const { wanted, held, newest } = consumer;
    const batch = wanted && held.take(this.#batchSize, wanted.unused);
    if (!wanted || !batch) return;
    consumer.wanted = null;
    wanted.then(
      batch,
      batch.map(({ producer, step }) => (newest.get(producer) ?? step) - step),
    );
  }
}

interface Consumer {
  fetched: Sample[][];
  held: Replay<Sample>;
  /** Newest step that came from each producer. */
  newest: Map<number, number>;
  wanted: { unused: boolean; then: (batch: Sample[], stale: number[]) => void } | null;
}

const samplesIn = (batches: readonly Sample[][]): number =>
  batches.reduce((sum, { length }) => sum + length, 0);
