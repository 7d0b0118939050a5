/**
 * Aborts at the first Ctrl-C (or SIGTERM, SIGHUP), for a stop in order; at the second the process ends at
 * once, and takes its children with it.
 */
export function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort();
    });
  }
  return stop.signal;
}
