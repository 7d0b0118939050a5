import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { below, folderError } from '@greedy-infomax/crds';
import { z } from 'zod';
import { LOCK_FILE, RunFolderError } from './folder.ts';

/** The lock on a run's folder: a file that names the process that trains there. */

const ownerSchema = z.object({
  pid: z.int().min(1),
  host: z.string(),
  /** Start of the process. Distinguishes it from a later process with the same id. */
  started: z.string(),
  since: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

/** Throws a `RunFolderError` that names the owner if another run trains in `out`. Writes nothing. */
export function checkUnlocked(out: string): void {
  refuseOwner(out, readLock(out));
}

/**
 * Locks the existing folder `out` for this process and returns a function that unlocks it. Replaces the lock of a
 * process that has ended. Throws a `RunFolderError` if another run trains there.
 */
export function lockFolder(out: string): () => void {
  const file = below(out, LOCK_FILE);
  const mine = `${file}-${randomUUID()}`;
  const owner: Owner = {
    pid: process.pid,
    host: hostname(),
    started: startOf(process.pid) ?? '',
    since: new Date().toISOString(),
  };
  try {
    writeFileSync(mine, `${JSON.stringify(owner)}\n`, { flag: 'wx' });
    while (!linked(mine, file)) removeIfStale(out, file, `${mine}-stale`);
  } catch (error) {
    if (error instanceof RunFolderError) throw error;
    throw folderError('cannot lock', out, error);
  } finally {
    rmSync(mine, { force: true });
  }
  return () => rmSync(file, { force: true });
}

/** Links the file as the lock. Returns false if a lock exists: unlike a rename, a link does not replace it. */
function linked(mine: string, file: string): boolean {
  try {
    linkSync(mine, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a process that has ended. Throws a `RunFolderError` if its owner is alive. */
function removeIfStale(out: string, file: string, aside: string): void {
  const text = readLock(out);
  if (text === undefined) return;
  refuseOwner(out, text);
  try {
    renameSync(file, aside); // if two processes remove it, one of them fails here
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  // Another process may have replaced the stale lock with its own since it was read.
  if (readFileSync(aside, 'utf8') !== text) linked(aside, file);
  rmSync(aside, { force: true });
}

/** Returns the text of the lock of `out`, or undefined without a lock. */
function readLock(out: string): string | undefined {
  try {
    return readFileSync(join(out, LOCK_FILE), 'utf8');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw folderError('cannot read the lock of', out, error);
  }
}

function refuseOwner(out: string, lock: string | undefined): void {
  const owner = lock === undefined ? undefined : ownerOf(lock);
  if (owner && isAlive(owner)) throw taken(out, owner);
}

/** Returns the owner that a lock names, or undefined for a damaged lock, which has no owner. */
function ownerOf(lock: string): Owner | undefined {
  try {
    return ownerSchema.parse(JSON.parse(lock));
  } catch {
    return undefined;
  }
}

/** Reports whether the owner runs. The state of processes on other machines is unknown: they count as alive. */
function isAlive({ pid, host, started }: Owner): boolean {
  return host !== hostname() || startOf(pid) === started;
}

/** Returns the boot id and the start time since boot of a process, or undefined if it does not exist. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 2 is the program's name in brackets and may contain spaces; field 22 is the start.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = ''] = fields;
    return 'ZX'.includes(state) ? undefined : `${boot}:${fields[19]}`; // zombies have ended
  } catch {
    return undefined;
  }
}

const taken = (out: string, { pid, host, since }: Owner): RunFolderError =>
  new RunFolderError(
    `another run trains in ${out}: process ${pid} on ${host}, since ${since}; wait for its end, or give another folder with --out${
      host === hostname() ? '' : ` (if that process has ended, remove ${out}/${LOCK_FILE})`
    }`,
  );
