import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './atomic.ts';
import { CheckpointError } from './errors.ts';

/** Where the checkpoints of one trainer lie: a folder, or a part of a bucket. */
export interface CheckpointFiles {
  /** Names of all that is there whole; none if the place itself is missing. */
  list(): Promise<string[]>;
  /**
   * The bytes of a file, or null if it is gone. Throws a `BucketError` if the place does not answer; any other
   * error tells that the file is damaged.
   */
  read(name: string): Promise<Uint8Array | null>;
  /** All or nothing; throws a `CheckpointError` and leaves the others as they are. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Takes away what writers that were killed have left. */
  removeLeftovers(): Promise<void>;
  /** What to call a file in a message. */
  where(name: string): string;
}

const LEFTOVER = /^checkpoint-\d+\.safetensors\.tmp$/;

/** The files of a folder, which need not be there yet. */
export function folderFiles(folder: string): CheckpointFiles {
  const where = (name: string) => join(folder, name);
  const list = async (): Promise<string[]> => {
    try {
      return await readdir(folder);
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['ENOENT', 'ENOTDIR'].includes(code)) return []; // no such folder: no checkpoints
      throw error;
    }
  };
  const remove = (name: string) => rm(where(name), { force: true });
  return {
    where,
    list,
    remove,
    async read(name) {
      try {
        // A pipe would be waited for without end.
        if (!(await stat(where(name))).isFile()) throw new CheckpointError('it is no file');
        return await readFile(where(name));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    write: (name, bytes) => writeAtomically(where(name), bytes),
    async removeLeftovers() {
      for (const name of await list()) if (LEFTOVER.test(name)) await remove(name);
    },
  };
}
