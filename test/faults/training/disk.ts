import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A small file system of its own, which can be filled to its last byte. Needs root. */
export interface Disk {
  fill(): void;
  /** Takes away what filled it. */
  empty(): void;
  unmount(): void;
}

export function mountDisk(folder: string, megabytes: number): Disk {
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  const filler = join(folder, 'filler');
  return {
    fill() {
      // In pieces, since the last one takes what is left.
      for (const bytes of [2 ** 20, 2 ** 12]) {
        try {
          for (;;) writeFileSync(filler, new Uint8Array(bytes), { flag: 'a' });
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    },
    empty: () => rmSync(filler, { force: true }),
    // Lazily: a process that has not ended yet may still have a file open.
    unmount: () => void execFileSync('umount', ['--lazy', folder]),
  };
}
