import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Edge } from '@greedy-infomax/crds';
import type { NatsAccess } from '../nats/connect.ts';
import {
  type BatchInfo,
  type FromWorker,
  NO_COUNTS,
  type Rows,
  type SinkCounters,
  type SourceCounters,
  type ToWorker,
  type WorkerOptions,
} from './worker-protocol.ts';

/**
 * The two ends of an edge on the compute thread. Each end has a worker thread with its own NATS connection, because a step
 * blocks the compute thread.
 *
 * With `dropOldest` a producer never waits and a slow consumer skips to recent samples. With `block` every sample is used
 * exactly once, in order if one trainer reads. Only the crash of a NATS server with memory storage loses samples; the
 * producer then forwards more.
 */

export interface EdgeOptions extends NatsAccess {
  edge: Edge;
  batchSize: number;
  clientName: string;
  /** Index of the trainer among those that read the edge. Default 0. */
  replica?: number;
  /** Folder in memory that both ends share for payloads. Default: payloads go through the server. */
  shared?: string;
}

export interface Batch extends BatchInfo {
  /** Encoded rows, valid until `done()`. */
  bytes: Uint8Array;
  /** Marks the batch as used: its messages are acknowledged and its memory may be reused. */
  done(): void;
}

export interface TakeOptions {
  /** Take only samples that were not used before, independent of `maxReuse`. Default false. */
  unused?: boolean;
}

/** The consuming end. */
export interface Source {
  /** Resolves with `batchSize` different samples once they are available. Rejects when `signal` is aborted. */
  take(signal: AbortSignal, options?: TakeOptions): Promise<Batch>;
  /** Tells how many trainers read the edge, from now on. At first it is taken for 1. */
  share(readers: number): void;
  /** Returns the counters as of the last batch, with later refused messages. */
  counters(): SourceCounters;
  close(): Promise<void>;
}

/** The producing end. */
export interface Sink {
  /**
   * Sends rows and transfers their memory. `dropOldest` never waits; `block` waits for room and rejects when `signal` is
   * aborted. The rows are then still sent unless the sink is closed first.
   */
  put(rows: Rows, signal: AbortSignal): Promise<void>;
  /** Tells how many trainers read the edge, from now on. At first it is taken for 1. */
  share(readers: number): void;
  /** Returns the number of samples that wait for the next module; null if unknown. */
  pending(): Promise<number | null>;
  /** Resolves with the counters once all rows are acknowledged or dropped. */
  flush(): Promise<SinkCounters>;
  close(): Promise<void>;
}

export async function openSource(options: EdgeOptions): Promise<Source> {
  const { edge, batchSize } = options;
  const bytes = batchSize * edge.sampleBytes;
  const thread = new EdgeThread({
    ...options,
    role: 'source',
    producer: 0,
    replica: options.replica ?? 0,
  });
  let counts = NO_COUNTS;
  thread.onCounters = (counters) => {
    counts = counters;
  };
  return {
    async take(signal, { unused = false } = {}) {
      signal.throwIfAborted();
      thread.send({ type: 'take', count: batchSize, unused });
      const { memory, info, counters } = await thread.next('batch', signal, { type: 'cancel' });
      counts = counters;
      return {
        ...info,
        bytes: new Uint8Array(memory, 0, bytes),
        done: () => thread.send({ type: 'done' }),
      };
    },
    share: (readers) => thread.send({ type: 'share', readers }),
    counters: () => counts,
    close: () => thread.close(),
  };
}

export async function openSink(options: EdgeOptions): Promise<Sink> {
  const producer = crypto.getRandomValues(new Uint32Array(1))[0] as number;
  const thread = new EdgeThread({ ...options, role: 'sink', producer, replica: 0 });
  const waits = options.edge.whenFull === 'block';
  return {
    async put(rows, signal) {
      thread.send({ type: 'put', rows }, [rows.bytes.buffer as ArrayBuffer]);
      if (waits) await thread.next('accepted', signal);
    },
    share: (readers) => thread.send({ type: 'share', readers }),
    async pending() {
      thread.send({ type: 'pending' });
      return (await thread.next('pending')).samples;
    },
    async flush() {
      thread.send({ type: 'flush' });
      return (await thread.next('flushed')).counters;
    },
    close: () => thread.close(),
  };
}

type Answer<T extends FromWorker['type']> = Extract<FromWorker, { type: T }>;

/** The worker thread of an edge, and the callers that wait for its answers. */
class EdgeThread {
  readonly #worker: Worker;
  readonly #exit: Promise<unknown>;
  /** Gets the counters that a source publishes between batches. */
  onCounters: (counters: SourceCounters) => void = () => {};
  /** Error that ended the thread; null while it runs. */
  #failure: Error | null = null;
  #waiting: {
    type: string;
    resolve: (answer: FromWorker) => void;
    reject: (error: Error) => void;
  }[] = [];

  constructor(workerData: WorkerOptions) {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData });
    this.#exit = once(this.#worker, 'exit');
    this.#worker.on('message', (answer: FromWorker) => {
      if (answer.type === 'counters') this.onCounters(answer.counters);
      const i = this.#waiting.findIndex(({ type }) => type === answer.type);
      if (i >= 0) this.#waiting.splice(i, 1)[0]?.resolve(answer);
    });
    this.#worker.on('error', (error: Error) => {
      this.#failure = error;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
  }

  send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /** Resolves with the next answer of a type. On abort, sends `cancel` and rejects. */
  next<T extends FromWorker['type']>(
    type: T,
    signal?: AbortSignal,
    cancel?: ToWorker,
  ): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      const waiter = {
        type,
        resolve: (answer: FromWorker) => {
          signal?.removeEventListener('abort', abort);
          resolve(answer as Answer<T>);
        },
        reject,
      };
      const abort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        if (cancel) this.send(cancel);
        reject(signal?.reason);
      };
      if (signal?.aborted || this.#failure) {
        reject(signal?.aborted ? signal.reason : this.#failure);
        return;
      }
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** Ends the thread. Terminates it after 2 s if a dead server blocks it. */
  async close(): Promise<void> {
    this.send({ type: 'close' });
    const timer = setTimeout(() => void this.#worker.terminate(), 2000);
    await this.#exit;
    clearTimeout(timer);
  }
}
