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

/** Longest delay that a Node timer takes. */
const LONGEST = 0x7fff_ffff;

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
