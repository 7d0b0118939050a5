import { spawn } from 'node:child_process';

/**
 * Kills process `pid` when this process ends, however suddenly: a shell waits for the end of a pipe that
 * only this process holds open. Returns what calls it off, for when `pid` has ended by itself.
 */
export function killWithParent(pid: number): () => void {
  const shell = spawn('/bin/sh', ['-c', 'read -r _; kill -9 "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Ctrl-C reaches a whole process group; the watchdog must outlast it.
    detached: true,
  });
  shell.unref();
  return () => {
    shell.kill('SIGKILL');
  };
}
