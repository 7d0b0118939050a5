/**
 * Aborts at the first Ctrl-C (or SIGTERM, or SIGHUP unless started by nohup), for a graceful stop. At the second the
 * process and its children end at once.
 */
export function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  process.on('SIGHUP', process.env.GIM_NOHUP === undefined ? onSignal : () => {});
  return stop.signal;
}
