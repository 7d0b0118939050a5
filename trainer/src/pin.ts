import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Name of TensorFlow's compute threads, which exist once a program is compiled. */
const NAME = 'tf_Compute';

/**
 * Pins TensorFlow's compute threads to one core, `cpu` in the system's numbering; I/O threads stay unpinned. Does
 * nothing where the system refuses. Returns the number of pinned threads.
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
