import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './atomic.ts';
import { CheckpointError } from './errors.ts';

/** Storage of the checkpoints of one trainer: a folder, or a part of a bucket. */
export interface CheckpointFiles {
  /** Returns the names of all files; empty if the folder does not exist. */
  list(): Promise<string[]>;
  /**
   * Returns the bytes of a file; null if it does not exist. Throws a `BucketError` if the bucket does not answer; any other
   * error means that the file is damaged.
   */
  read(name: string): Promise<Uint8Array | null>;
  /** Writes a file atomically. Throws a `CheckpointError`; other files are intact. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Removes temporary files and uploads of killed writers. */
  removeLeftovers(): Promise<void>;
  /** Returns the name of a file for messages. */
  where(name: string): string;
}

const LEFTOVER = /^checkpoint-\d+\.safetensors\.tmp$/;

/** Returns the files of a folder, which need not exist yet. */
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
        // Reading a pipe would block forever.
        if (!(await stat(where(name))).isFile()) throw new CheckpointError('it is not a file');
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
