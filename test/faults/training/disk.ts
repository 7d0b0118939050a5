import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A small separate file system that can be filled completely. Needs root. */
export interface Disk {
  fill(): void;
  /** Deletes the file that filled the disk. */
  empty(): void;
  unmount(): void;
}

export function mountDisk(folder: string, megabytes: number): Disk {
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  const filler = join(folder, 'filler');
  return {
    fill() {
      // Writes in small pieces; the last one takes the remaining space.
      for (const bytes of [2 ** 20, 2 ** 12]) {
        try {
          for (;;) writeFileSync(filler, new Uint8Array(bytes), { flag: 'a' });
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    },
    empty: () => rmSync(filler, { force: true }),
    // Unmounts lazily: a process that is still ending may have a file open.
    unmount: () => void execFileSync('umount', ['--lazy', folder]),
  };
}
