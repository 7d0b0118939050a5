import { type Clock, systemClock } from './clock.ts';

/**
 * A work queue with the semantics of client-go's. A key waits at most once, never runs twice at the same time,
 * and runs again if it was added while running. A key that fails is retried with exponential backoff.
 */

/** An error that a retry cannot resolve. The key is not retried until it is added again. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

export type Outcome = 'success' | 'requeue_after' | 'error' | 'terminal';

/** Observer of the queue's metrics; every method is optional. */
export interface QueueObserver {
  added?(depth: number): void;
  /** Called when a key starts to run; `waitedSeconds` is its time in the queue. */
  started?(waitedSeconds: number, depth: number, running: number): void;
  finished?(outcome: Outcome, tookSeconds: number, running: number): void;
  retried?(): void;
}

export interface QueueOptions {
  /**
   * Processes a key. The result may request another call later. An error causes a retry with backoff, after
   * its `retryAfter` seconds at the earliest.
   */
  handle: (key: string, signal: AbortSignal) => Promise<{ afterSeconds: number } | undefined>;
  onError?: (key: string, error: unknown, retryInSeconds: number | undefined) => void;
  concurrency?: number;
  backoff?: { firstMs: number; maxMs: number };
  clock?: Clock;
  observer?: QueueObserver;
}

export class WorkQueue {
  readonly #options: Required<Omit<QueueOptions, 'observer' | 'onError'>> &
    Pick<QueueOptions, 'observer' | 'onError'>;
  /** Keys in the order in which they will run, with the time since which they wait. */
  readonly #waiting = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();
  /** Keys added while they were running. */
  readonly #dirty = new Set<string>();
  readonly #delayed = new Map<string, { due: number; cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  readonly #abort = new AbortController();
  #started = false;
  #stopped = false;

  constructor(options: QueueOptions) {
    this.#options = {
      concurrency: 1,
      backoff: { firstMs: 5, maxMs: 1_000_000 },
      clock: systemClock,
      ...options,
    };
  }

  /** Number of keys ready to run. */
  get depth(): number {
    return this.#waiting.size;
  }

  /** Number of keys that wait, run, are due later or have failed. */
  get size(): number {
    const kept = [this.#waiting, this.#running, this.#dirty, this.#delayed, this.#failures];
    return kept.reduce((sum, { size }) => sum + size, 0);
  }

  /** Returns the number of consecutive failures of `key`. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Starts processing. Keys added earlier wait until then. */
  start(): void {
    this.#started = true;
    this.#pump();
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#undelay(key);
    if (this.#running.has(key)) {
      this.#dirty.add(key);
    } else if (!this.#waiting.has(key)) {
      this.#waiting.set(key, this.#options.clock.now());
      this.#options.observer?.added?.(this.#waiting.size);
      this.#pump();
    }
  }

  /** Adds `key` after a delay. If it is added several times, the earliest counts. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#stopped) return;
    if (milliseconds <= 0) {
      this.add(key);
      return;
    }
    const { clock } = this.#options;
    const due = clock.now() + milliseconds;
    const other = this.#delayed.get(key);
    if (other && other.due <= due) return;
    other?.cancel();
    const cancel = clock.after(milliseconds, () => {
      this.#delayed.delete(key);
      // Timers have a longest delay; a key due later is delayed again.
      this.addAfter(key, due - clock.now());
    });
    this.#delayed.set(key, { due, cancel });
  }

  /** Drops the entries of a key that is gone for good. */
  forget(key: string): void {
    this.#failures.delete(key);
    this.#undelay(key);
  }

  /** Starts no more keys, waits for those that are running, and after `graceMs` aborts them. */
  async stop(graceMs = 30_000): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    this.#dirty.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    const cancel = this.#options.clock.after(graceMs, () => this.#abort.abort());
    await Promise.all(this.#running.values());
    cancel();
  }

  #undelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #pump(): void {
    if (!this.#started || this.#stopped) return;
    for (const [key, since] of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#running.set(key, this.#run(key, since));
    }
  }

  async #run(key: string, since: number): Promise<void> {
    const { handle, clock, observer } = this.#options;
    const start = clock.now();
    // Runs one microtask later, so that `#running` holds the key before the handler can add it.
    await Promise.resolve();
    observer?.started?.((start - since) / 1000, this.#waiting.size, this.#running.size);
    let outcome: Outcome = 'success';
    try {
      const result = await handle(key, this.#abort.signal);
      this.#failures.delete(key);
      if (result) {
        outcome = 'requeue_after';
        this.addAfter(key, result.afterSeconds * 1000);
      }
    } catch (error) {
      outcome = this.#failed(key, error);
    }
    this.#running.delete(key);
    observer?.finished?.(outcome, (clock.now() - start) / 1000, this.#running.size);
    if (this.#dirty.delete(key)) this.add(key);
    this.#pump();
  }

  #failed(key: string, error: unknown): Outcome {
    const { onError, backoff, observer } = this.#options;
    if (error instanceof TerminalError) {
      this.#failures.delete(key);
      onError?.(key, error, undefined);
      return 'terminal';
    }
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    const { retryAfter = 0 } = (error ?? {}) as { retryAfter?: number };
    const delay = Math.max(
      Math.min(backoff.firstMs * 2 ** failures, backoff.maxMs),
      1000 * retryAfter,
    );
    onError?.(key, error, delay / 1000);
    observer?.retried?.();
    this.addAfter(key, delay);
    return 'error';
  }
}
