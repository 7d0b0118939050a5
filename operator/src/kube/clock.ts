import { setTimeout as wait } from 'node:timers/promises';

/** Time as the executors need it, passed in so that tests turn the hands. */
export interface Clock {
  /** Milliseconds from an arbitrary start; never jumps, whatever happens to the system's date. */
  now(): number;
  /** The date, for what people and other programs read. */
  date(): Date;
  /** Calls `run` in `milliseconds`, unless the returned function is called before. */
  after(milliseconds: number, run: () => void): () => void;
}

/** Longest delay that a Node timer takes, in milliseconds. */
const LONGEST = 0x7fff_ffff;

/**
 * Returns a signal that aborts after `seconds`, at the system clock. Fractions of a millisecond are
 * truncated: `AbortSignal.timeout` throws on them, and on what is longer than LONGEST or below 0.
 */
export const timeoutSignal = (seconds: number): AbortSignal =>
  AbortSignal.timeout(Math.min(LONGEST, Math.max(0, Math.floor(seconds * 1000))));

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => new Date(),
  after(milliseconds, run) {
    const timer = setTimeout(run, Math.min(milliseconds, LONGEST));
    return () => clearTimeout(timer);
  },
};

/** Waits, or until `signal` is aborted; never throws. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(Math.min(milliseconds, LONGEST), undefined, { signal }).catch(() => {});
}
