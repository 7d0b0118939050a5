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

/** Names, folders and files below a folder that a run owns: nothing outside it is ever written or removed. */

/** The operating system refused a file or a folder, or a path leaves the folder that it belongs to. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
}

/** What to do about an error of the operating system. */
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
  ENOTDIR: 'use a path all of whose parents are folders',
  EPERM: 'give this user the right to use it',
  EROFS: 'the file system is read-only; use a folder on another one',
};

/** Advice for an error of the operating system; undefined for any other error. */
export const adviceFor = (error: unknown): string | undefined =>
  ADVICE[(error as NodeJS.ErrnoException | undefined)?.code ?? ''];

/** An error of the operating system with the path and with what to do. `what`: "cannot write", for example. */
export function folderError(what: string, path: string, cause: unknown): FolderError {
  const { message } = cause as Error;
  const advice = adviceFor(cause);
  return new FolderError(`${what} ${path}: ${message}${advice ? `; ${advice}` : ''}`, { cause });
}

/**
 * Path of `names` below `folder`, one name a level. Throws a `FolderError` for a name that is not plain, such as
 * `..` or `a/b`, and where a link on the way leads out of `folder`.
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

/** Throws a `FolderError` if any link below `root` leads out of it. Does nothing where there is no such folder. */
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
    target = ''; // a link to nothing may be followed to whatever is made there
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
 * Makes a folder and its parents. Throws a `FolderError` that names the folder which could not be made. Node's own
 * recursive mkdir never returns for a path below /proc, and reports a read-only file system as a missing path.
 * Returns the outermost folder that was missing; undefined if there was none.
 */
export function makeFolder(folder: string): string | undefined {
  const missing: string[] = [];
  for (let path = resolve(folder); !exists(path); path = dirname(path)) missing.push(path);
  for (const path of missing.reverse()) {
    try {
      mkdirSync(path);
    } catch (error) {
      // Another process may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' && exists(path)) continue;
      throw folderError('cannot make the folder', path, error);
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

/** Writes a file whole or not at all, and follows no link. Throws a `FolderError`. */
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

/** Bytes of the largest file of a run's folder that is read whole, checkpoints apart. */
const MOST_BYTES = 256 << 20;

/**
 * Reads a file whole. Throws a `FolderError` for more than `most` bytes, before memory is taken for them, and for what is no
 * file: a pipe would be waited for without end.
 */
export function readWhole(file: string, most = MOST_BYTES): Buffer {
  try {
    const found = statSync(file);
    if (!found.isFile()) throw new FolderError(`${file} is no file; remove it`);
    if (found.size > most) {
      throw new FolderError(`${file} has ${found.size} bytes; at most ${most} are read: remove it`);
    }
    return readFileSync(file);
  } catch (error) {
    if (error instanceof FolderError) throw error;
    throw folderError('cannot read', file, error);
  }
}
