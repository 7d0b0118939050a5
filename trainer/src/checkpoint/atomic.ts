import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CheckpointError } from './errors.ts';

const TEMPORARY = '.tmp';

/** What to do about an error of the file system, where there is something to do. */
const REMEDIES: Record<string, string> = {
  ENOSPC: 'free some space there, or keep fewer checkpoints (checkpoints.keep)',
  EDQUOT: 'raise the quota, or keep fewer checkpoints (checkpoints.keep)',
  EACCES: 'make the folder writable',
  EPERM: 'make the folder writable',
  EROFS: 'use a folder on a file system that can be written to',
  ENOTDIR: 'use a path all of whose parents are folders',
};

/**
 * Writes a file so that, whenever the process or the machine dies, either the whole file or what was there
 * before is found under its name. Throws a `CheckpointError`; then nothing has changed.
 */
export async function writeAtomically(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}${TEMPORARY}`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeSynced(temporary, bytes);
    await rename(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    const { code = '', message } = error as NodeJS.ErrnoException;
    const remedy = REMEDIES[code] ?? 'the ones written before are as they were';
    throw new CheckpointError(`cannot write ${file}: ${message}; ${remedy}`, { cause: error });
  }
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The new name is on the disk only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
