import { type ChildProcess, spawn } from 'node:child_process';

/** Starts shells that clean up after this process if it is killed. */

/** Waits until the parent's end of a pipe closes, then removes the folder $0. */
const REMOVE = 'read -r _; rm -rf "$0"';

/**
 * Waits until the parent's end of a pipe closes, then gives process $0 up to $1 seconds to exit before it kills it.
 * Checks every second, so that it does not kill a later process with the same id.
 */
const KILL = `read -r _
left=$1
while [ "$left" -gt 0 ]; do
  kill -0 "$0" || exit
  sleep 1
  left=$((left - 1))
done
kill -9 "$0"`;

/** Kills `child` if it still runs `graceSeconds` after this process ended, even if this process was killed. */
export function killWithParent(child: ChildProcess, graceSeconds = 0): void {
  if (child.pid === undefined) return;
  const shell = watch(KILL, String(child.pid), String(graceSeconds));
  child.once('exit', () => shell.kill('SIGKILL'));
}

/** Removes a folder when this process ends, even if it was killed. The returned function cancels the removal. */
export function removeWithParent(folder: string): () => void {
  const shell = watch(REMOVE, folder);
  return () => shell.kill('SIGKILL');
}

function watch(script: string, ...args: string[]): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', script, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Ctrl-C reaches the whole process group; the watchdog must survive it.
    detached: true,
  });
  shell.stdin.on('error', () => {}); // the pipe breaks when the watchdog is cancelled
  shell.unref();
  return shell;
}
