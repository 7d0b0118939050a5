export interface WaitOptions {
  /** Ends the wait when it is aborted. */
  stop: AbortSignal;
  /** Called every so many milliseconds; ends the wait when it returns true. */
  tick(): boolean;
  every: number;
}

/**
 * What `work` gives, of which nothing is known before it is there; null where the wait ended before. The signal tells
 * `work` of that.
 */
export async function waitFor<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { stop, tick, every }: WaitOptions,
): Promise<T | null> {
  const wait = new AbortController();
  const end = () => wait.abort();
  stop.addEventListener('abort', end, { once: true });
  const clock = setInterval(() => {
    if (tick()) end();
  }, every);
  try {
    return await work(wait.signal);
  } catch (error) {
    if (wait.signal.aborted) return null;
    throw error;
  } finally {
    clearInterval(clock);
    stop.removeEventListener('abort', end);
  }
}
