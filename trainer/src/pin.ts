import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** TensorFlow's threads that compute steps, once a program is there. */
const NAME = 'tf_Compute';

/**
 * Keeps the threads that compute steps to one core, `cpu` as the system counts them; those that read, send and receive go
 * wherever there is room. On a machine that does not let it they run as before. Returns how many threads keep to it.
 */
export function pinComputeThreads(cpu: string | undefined): number {
  if (cpu === undefined) return 0;
  try {
    const threads = readdirSync('/proc/self/task').filter(
      (id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() === NAME,
    );
    const pinned = threads.filter(
      (id) => spawnSync('taskset', ['--pid', '--cpu-list', cpu, id]).status === 0,
    );
    return pinned.length;
  } catch {
    return 0;
  }
}
