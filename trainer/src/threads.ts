import { availableParallelism } from 'node:os';

/**
 * Threads of a step. On a processor, threads encode micro-batches side by side, each op on one thread: two threads that
 * share an op wait for each other at its end, and again at the end of the next. TensorFlow reads these variables when it
 * is loaded.
 */

/** Returns TensorFlow's variables for `threads`: micro-batches side by side first, remaining threads share ops. */
export function threadsEnv(threads: number, batchSize: number): Record<string, string> {
  const sideBySide = Math.min(threads, batchSize);
  return {
    TF_NUM_INTEROP_THREADS: String(sideBySide),
    TF_NUM_INTRAOP_THREADS: String(Math.max(1, Math.floor(threads / sideBySide))),
  };
}

/** Sets the variables that are unset, for OMP_NUM_THREADS threads or the number of cores. If you set one, your value takes precedence. */
export function shareThreads(batchSize: number, env: NodeJS.ProcessEnv = process.env): void {
  const threads = positive(env.OMP_NUM_THREADS) ?? availableParallelism();
  for (const [name, value] of Object.entries(threadsEnv(threads, batchSize))) env[name] ??= value;
}

/** Returns the number of ops that run side by side: TF_NUM_INTEROP_THREADS, default 1. */
export const operationsSideBySide = (env: NodeJS.ProcessEnv = process.env): number =>
  positive(env.TF_NUM_INTEROP_THREADS) ?? 1;

function positive(text: string | undefined): number | undefined {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? number : undefined;
}
