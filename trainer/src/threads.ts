import { availableParallelism } from 'node:os';

/**
 * How a step uses the threads of its process. On a processor a batch goes through the encoder in parts, which threads
 * take side by side, each operation on one thread: two threads that share an operation wait for each other at its end,
 * and at the end of the next. TensorFlow reads the variables when it is loaded.
 */

/** Parts of `batchSize` samples side by side on `threads`; what is left of the threads shares operations. */
export function threadsEnv(threads: number, batchSize: number): Record<string, string> {
  const sideBySide = Math.min(threads, batchSize);
  return {
    TF_NUM_INTEROP_THREADS: String(sideBySide),
    TF_NUM_INTRAOP_THREADS: String(Math.max(1, Math.floor(threads / sideBySide))),
  };
}

/** Sets them where the user has not; as many threads as OMP_NUM_THREADS says, or as the process has cores. */
export function shareThreads(batchSize: number, env: NodeJS.ProcessEnv = process.env): void {
  const threads = positive(env.OMP_NUM_THREADS) ?? availableParallelism();
  for (const [name, value] of Object.entries(threadsEnv(threads, batchSize))) env[name] ??= value;
}

/** Operations that run side by side, as TensorFlow was told; 1 where it was told nothing. */
export const operationsSideBySide = (env: NodeJS.ProcessEnv = process.env): number =>
  positive(env.TF_NUM_INTEROP_THREADS) ?? 1;

function positive(text: string | undefined): number | undefined {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? number : undefined;
}
