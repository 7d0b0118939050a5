/**
 * Aborts at the first Ctrl-C (or SIGTERM, SIGHUP), for a graceful stop. At the second the process and its children
 * end at once.
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
