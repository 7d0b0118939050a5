import { open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { adviceFor, FolderError, makeFolder } from '@greedy-infomax/crds/own-folder';
import { CheckpointError } from './errors.ts';

const TEMPORARY = '.tmp';

/** Advice for errors that have another remedy where checkpoints are written. */
const REMEDIES: Record<string, string> = {
  ENOSPC: 'free some space there, or keep fewer checkpoints (checkpoints.keep)',
  EDQUOT: 'raise the quota, or keep fewer checkpoints (checkpoints.keep)',
};

/**
 * Writes a file so that, whenever the process or the machine dies, either the whole file or what was there
 * before is found under its name. Throws a `CheckpointError`; then nothing has changed.
 */
export async function writeAtomically(file: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${file}${TEMPORARY}`;
  try {
    const firstMade = makeFolder(dirname(file));
    await writeSynced(temporary, bytes);
    await rename(temporary, file);
    for (const folder of changedFolders(file, firstMade)) await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (error instanceof FolderError)
      throw new CheckpointError(`cannot write ${file}: ${error.message}`, { cause: error });
    const remedy = REMEDIES[code] ?? adviceFor(error) ?? 'the ones written before are as they were';
    throw new CheckpointError(`cannot write ${file}: ${message}; ${remedy}`, { cause: error });
  }
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  await rm(file, { force: true });
  const handle = await open(file, 'wx'); // follows no link
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Returns the folder of `file`, and the parent of each folder from there up to `firstMade`, the outermost new one. */
function changedFolders(file: string, firstMade?: string): string[] {
  const folders = [dirname(file)];
  if (firstMade === undefined) return folders;
  for (let made = resolve(dirname(file)); ; made = dirname(made)) {
    folders.push(dirname(made));
    if (made === resolve(firstMade)) return folders;
  }
}

/** A new name is on the disk only after fsync of the folder that holds it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
