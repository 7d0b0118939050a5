import { type ChildProcess, spawn } from 'node:child_process';

/** Shells that do what this process can no longer do when it is killed. */

/** Waits for the end of a pipe that only the parent holds open; then removes the folder $0. */
const REMOVE = 'read -r _; rm -rf "$0"';

/**
 * Waits for the end of a pipe that only the parent holds open; then gives process $0 up to $1 seconds to
 * end by itself. It looks every second, so that it hits no later process of the same number.
 */
const KILL = `read -r _
left=$1
while [ "$left" -gt 0 ]; do
  kill -0 "$0" || exit
  sleep 1
  left=$((left - 1))
done
kill -9 "$0"`;

/** Kills `child` when this process ends, however suddenly, `graceSeconds` later if it still runs then. */
export function killWithParent(child: ChildProcess, graceSeconds = 0): void {
  if (child.pid === undefined) return;
  const shell = watch(KILL, String(child.pid), String(graceSeconds));
  child.once('exit', () => shell.kill('SIGKILL'));
}

/** Removes a folder when this process ends, however suddenly, unless what this returns was called. */
export function removeWithParent(folder: string): () => void {
  const shell = watch(REMOVE, folder);
  return () => shell.kill('SIGKILL');
}

function watch(script: string, ...args: string[]): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', script, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Ctrl-C reaches a whole process group; the watchdog must outlast it.
    detached: true,
  });
  shell.stdin.on('error', () => {}); // the pipe breaks when the watchdog is called off
  shell.unref();
  return shell;
}
