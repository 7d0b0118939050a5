import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from './processes.ts';

/** A node's cgroup in every hierarchy of this machine, with all its containers below it. */

const CGROUPS = '/sys/fs/cgroup';

/** Roots of all cgroup hierarchies: one with cgroup v2, one for each controller with v1. */
function hierarchies(): string[] {
  if (existsSync(join(CGROUPS, 'cgroup.controllers'))) return [CGROUPS];
  return readdirSync(CGROUPS)
    .map((name) => join(CGROUPS, name))
    .filter((root) => existsSync(join(root, 'cgroup.procs')));
}

export function makeCgroup(name: string): void {
  for (const root of hierarchies()) {
    mkdirSync(join(root, name), { recursive: true });
    for (const setting of ['cpuset.cpus', 'cpuset.mems']) {
      const file = join(root, setting);
      // A new cpuset of cgroup v1 is empty and accepts no process until it has processors.
      if (root !== CGROUPS && existsSync(file)) {
        writeFileSync(join(root, name, setting), readFileSync(file));
      }
    }
  }
}

/** Kills every process in a cgroup and below it. */
export function killCgroup(name: string): void {
  for (const root of hierarchies()) killTree(join(root, name));
}

function killTree(folder: string): void {
  if (!existsSync(folder)) return;
  const pids = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
  for (const pid of pids) signal(Number(pid));
  for (const name of subfolders(folder)) killTree(join(folder, name));
}

/** Removes a cgroup with all its children, once the kernel has ended the last process in it. */
export async function removeCgroup(name: string): Promise<void> {
  for (const root of hierarchies()) {
    for (let attempt = 0; attempt < 100 && !removeTree(join(root, name)); attempt += 1) {
      await sleep(50);
    }
  }
}

function removeTree(folder: string): boolean {
  if (!existsSync(folder)) return true;
  let empty = true;
  for (const name of subfolders(folder)) empty = removeTree(join(folder, name)) && empty;
  try {
    if (empty) rmdirSync(folder);
    return empty;
  } catch {
    return false;
  }
}

const subfolders = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

export const cgroupNames = (): string[] => [
  ...new Set(hierarchies().flatMap((root) => readdirSync(root))),
];
