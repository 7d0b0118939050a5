import { open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { adviceFor, FolderError, makeFolder } from '@greedy-infomax/crds/own-folder';
import { CheckpointError } from './errors.ts';

const TEMPORARY = '.tmp';

/** Remedies for error codes that are specific to checkpoints. */
const REMEDIES: Record<string, string> = {
  ENOSPC: 'free some space there, or keep fewer checkpoints (checkpoints.keep)',
  EDQUOT: 'raise the quota, or keep fewer checkpoints (checkpoints.keep)',
};

/**
 * Writes a file atomically: if the process or the machine dies, either the old or the whole new file exists.
 * @throws CheckpointError; the old file is unchanged
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
    const remedy = REMEDIES[code] ?? adviceFor(error) ?? 'earlier checkpoints are intact';
    throw new CheckpointError(`cannot write ${file}: ${message}; ${remedy}`, { cause: error });
  }
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  await rm(file, { force: true });
  const handle = await open(file, 'wx'); // does not follow links
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

/** Syncs a folder: a new name is on disk only after the fsync of its folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
