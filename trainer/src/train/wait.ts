export interface WaitOptions {
  /** Ends the wait when aborted. */
  stop: AbortSignal;
  /** Called every `every` milliseconds; ends the wait if it returns true. */
  tick(): boolean;
  every: number;
}

/**
 * Returns the result of `work`; null if the wait ended first. The signal of `work` is aborted when the wait ends.
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
