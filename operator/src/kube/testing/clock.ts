import type { Clock } from '../clock.ts';

/** A clock that tests advance manually. */
export class TestClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ due: number; run: () => void }>();
  /** Milliseconds by which the date is off, as after a step of the system clock. */
  dateOffset = 0;

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(Date.UTC(2030, 0, 1) + this.#now + this.dateOffset);
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { due: this.#now + milliseconds, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Wait for `Election`: ends when the clock reaches its time, or when aborted. */
  readonly wait = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const cancel = this.after(milliseconds, resolve);
      signal.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });

  /** Advances the clock. Timers that fall due run in order, each at the time it was set for. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.due - b.due);
      if (!next || next.due > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.run();
    }
    this.#now = end;
  }

  /** Milliseconds until the next timer falls due; Infinity without one. */
  get untilNext(): number {
    return Math.min(...[...this.#timers].map(({ due }) => due)) - this.#now;
  }

  get pending(): number {
    return this.#timers.size;
  }
}

/** Lets all pending promises and available I/O run. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
