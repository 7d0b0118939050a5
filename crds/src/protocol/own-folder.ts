import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';

/** Access to files below a folder that a run owns. Nothing outside the folder is written or removed. */

/** Thrown if the operating system refuses a file or folder, or a path leaves its folder. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/** Remedies for errors of the operating system. */
const ADVICE: Record<string, string> = {
  EEXIST: 'remove what is there, or use another path',
  EACCES: 'give this user the right to use it',
  EDQUOT: 'raise the quota, or free some space',
  EISDIR: 'give the path of a file',
  ELOOP: 'remove the links that point to each other',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENAMETOOLONG: 'use a shorter path',
  ENOENT: 'check the path',
  ENOSPC: 'free some space there',
  ENOTDIR: 'use a path whose parents are all folders',
  EPERM: 'give this user the right to use it',
  EROFS: 'the file system is read-only; use a folder on another one',
};

/** Returns the remedy for an error of the operating system, or undefined for other errors. */
export const adviceFor = (error: unknown): string | undefined =>
  ADVICE[(error as NodeJS.ErrnoException | undefined)?.code ?? ''];

/** Returns an error of the operating system with the path and the remedy. `what` is, for example, "cannot write". */
export function folderError(what: string, path: string, cause: unknown): FolderError {
  const { message } = cause as Error;
  const advice = adviceFor(cause);
  return new FolderError(`${what} ${path}: ${message}${advice ? `; ${advice}` : ''}`, { cause });
}

/**
 * Returns the path of `names` below `folder`, with one name for each level. Throws a `FolderError` for names such as `..`
 * or `a/b`, and for a link that leads out of `folder`.
 */
export function below(folder: string, ...names: string[]): string {
  let path = folder;
  for (const name of names) {
    if (!isPlain(name)) {
      throw new FolderError(
        `${JSON.stringify(name)} is not the name of a file or folder in ${folder}; use one without slashes`,
      );
    }
    path = join(path, name);
    checkLink(folder, path);
  }
  return path;
}

const isPlain = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name);

/** Throws a `FolderError` if a link below `root` leads out of it. Does nothing if the folder does not exist. */
export function checkLinks(root: string, folder = root): void {
  for (const entry of list(folder)) {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) checkLink(root, path);
    if (entry.isDirectory()) checkLinks(root, path);
  }
}

function checkLink(root: string, path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return;
  let target: string;
  try {
    target = realpathSync(path);
  } catch {
    target = ''; // a dangling link would lead to the file that is created there
  }
  if (target.startsWith(realpathSync(root) + sep)) return;
  throw new FolderError(
    `${path} is a link that leads out of ${root}; nothing outside the folder is written or removed, so remove the link`,
  );
}

function list(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw folderError('cannot read', folder, error);
  }
}

/**
 * Creates a folder and its parents. Returns the outermost folder that was missing, or undefined if there was none. Throws a
 * `FolderError` with the folder that cannot be created. Node's recursive mkdir never returns for a path below /proc, and
 * reports a read-only file system as a missing path.
 */
export function makeFolder(folder: string): string | undefined {
  const missing: string[] = [];
  for (let path = resolve(folder); !exists(path); path = dirname(path)) missing.push(path);
  for (const path of missing.reverse()) {
    try {
      mkdirSync(path);
    } catch (error) {
      // Another process may have created it in the meantime.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && exists(path)) continue;
      throw folderError('cannot create the folder', path, error);
    }
  }
  if (statSync(folder).isDirectory()) return missing[0];
  throw new FolderError(`${folder} is a file; give the path of a folder`);
}

function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    throw folderError('cannot read', path, error);
  }
}

/** Writes a file atomically and follows no link. Throws a `FolderError`. */
export function writeWhole(file: string, content: string | Uint8Array): void {
  const temporary = `${file}.tmp`;
  try {
    rmSync(temporary, { force: true });
    const handle = openSync(temporary, 'wx');
    try {
      writeFileSync(handle, content);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, file);
  } catch (error) {
    throw folderError('cannot write', file, error);
  }
}

/** Maximum bytes of a file that is read at once. Checkpoints are read in parts. */
const READ_BYTES_MAX = 256 << 20;

/**
 * Reads a file. Throws a `FolderError`, before it allocates memory, for more than `most` bytes and for anything but a regular
 * file: a read from a pipe might never return.
 */
export function readWhole(file: string, most = READ_BYTES_MAX): Buffer {
  try {
    const found = statSync(file);
    if (!found.isFile()) throw new FolderError(`${file} is not a regular file; remove it`);
    if (found.size > most) {
      throw new FolderError(
        `${file} has ${found.size} bytes, but the maximum is ${most}; remove it`,
      );
    }
    return readFileSync(file);
  } catch (error) {
    if (error instanceof FolderError) throw error;
    throw folderError('cannot read', file, error);
  }
}
