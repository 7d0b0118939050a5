import { setTimeout as wait } from 'node:timers/promises';

/** Source of time for the executors, passed in so that tests can control it. */
export interface Clock {
  /**
   * Returns milliseconds from an arbitrary start. Monotonic: changes of the system clock do not affect it.
   */
  now(): number;
  /** Returns the wall-clock date, for users and other programs. */
  date(): Date;
  /** Calls `run` after `milliseconds`, unless the returned function is called first. */
  after(milliseconds: number, run: () => void): () => void;
}

/** Longest delay that a Node timer accepts, in milliseconds. */
const LONGEST = 0x7fff_ffff;

/**
 * Returns a signal that aborts after `seconds` of the system clock. Fractions of a millisecond are truncated,
 * and the delay is limited to 0..LONGEST: `AbortSignal.timeout` throws on other values.
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

/** Waits for `milliseconds`, or until `signal` is aborted. Never throws. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(Math.min(milliseconds, LONGEST), undefined, { signal }).catch(() => {});
}
