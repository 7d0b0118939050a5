import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  below,
  checkLinks,
  folderError,
  MODULE_FILE,
  type ModuleConfig,
  makeFolder,
  modulePlaces,
  PICTURES_FOLDER,
  reportSchema,
  trainingIdentity,
  writeWhole,
} from '@greedy-infomax/crds';
import { z } from 'zod';
import { readJson, readModules } from '../report/run-files.ts';

/** The folder of a run on one machine: its content, and the checks before a run starts or resumes there. */

/** The folder holds foreign files, or lacks files that the run needs. */
export class RunFolderError extends Error {
  override readonly name = 'RunFolderError';
}

const runRecordSchema = z.strictObject({
  uid: z.string(),
  /** Duration of all sessions so far, in seconds. */
  wallSeconds: z.number(),
  versions: z.record(z.string(), z.string()),
  /** Last report of each trainer. */
  reports: z.array(reportSchema),
});
/** Content of OUT/run.json: the run's uid and the input of its summary. The file marks a run folder. */
export type RunRecord = z.infer<typeof runRecordSchema>;

const RECORD_FILE = 'run.json';
/** File that names the process that trains in the folder. */
export const LOCK_FILE = 'run.lock';

export const readRecord = (out: string): RunRecord | undefined =>
  readJson(join(out, RECORD_FILE), runRecordSchema);

export const writeRecord = (out: string, record: RunRecord): void =>
  writeJson(below(out, RECORD_FILE), record);

/** Returns the folder of a module. Throws a `FolderError` if a name or a link leads out of `out`. */
export const moduleFolder = (out: string, module: string): string => below(out, 'modules', module);

/** Returns the folder of a trainer. Replica 0 uses the module's folder. */
export const trainerFolder = (out: string, module: string, replica: number): string =>
  replica === 0 ? moduleFolder(out, module) : below(out, 'modules', module, `replica-${replica}`);

/** Returns the newest checkpoint of a module, or undefined before the first. */
export function newestCheckpoint(out: string, module: string): string | undefined {
  const folder = moduleFolder(out, module);
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder).filter((name) => /^checkpoint-\d+\.safetensors$/.test(name));
  const newest = files.toSorted().at(-1);
  return newest && join(folder, newest);
}

/**
 * Throws a `RunFolderError` if `out` holds checkpoints of another run, or files that are not from a run.
 * Throws a `FolderError` if a link leads out of `out`.
 */
export function checkFresh(out: string): void {
  checkNoVolume(out);
  checkOwn(out);
  checkLinks(out);
  const modules = join(out, 'modules');
  const names = existsSync(modules) ? readdirSync(modules) : [];
  if (names.every((name) => newestCheckpoint(out, name) === undefined)) return;
  throw new RunFolderError(
    `${out} holds checkpoints already; go on from them with --resume, or give another folder with --out`,
  );
}

/**
 * Throws a `RunFolderError` unless the folder holds a run's record or modules, or nothing but the lock and empty
 * folders: disks may be mounted below it.
 */
function checkOwn(out: string): void {
  const others = contents(out).filter((name) => name !== LOCK_FILE && holdsFile(join(out, name)));
  if (others.length === 0 || others.includes(RECORD_FILE) || readModules(out).length > 0) return;
  throw new RunFolderError(
    `${out} holds files that no run has made (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}); give an empty folder, or a new one, with --out`,
  );
}

/** Reports whether `path` is anything but a folder of empty folders. Assumes files in an unreadable folder. */
function holdsFile(path: string): boolean {
  if (!lstatSync(path).isDirectory()) return true;
  try {
    return readdirSync(path).some((name) => holdsFile(join(path, name)));
  } catch {
    return true;
  }
}

function contents(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw folderError('cannot use', folder, error);
  }
}

/** Refuses the folder of a run on a cluster. Its layout has several trainers per module and is read-only here. */
function checkNoVolume(out: string): void {
  if (modulePlaces(out).every(({ folder, trainer }) => folder === trainer)) return;
  throw new RunFolderError(
    `${out} holds the checkpoints of a run on a cluster; give another folder with --out`,
  );
}

/** Throws a `RunFolderError` if `out` does not hold a run, a `FolderError` if a link leads out of it. */
export function checkHoldsRun(out: string): void {
  checkLinks(out);
  if (readModules(out).length > 0) return;
  throw new RunFolderError(
    `${out} holds no run; give the folder that \`gim run\` wrote with --out, or a run's own on the volume of its checkpoints`,
  );
}

/** Removes the files of a run without checkpoints, so that they do not mix with those of the new run. */
export function clearLeftovers(out: string): void {
  checkLinks(out);
  for (const { config } of readModules(out)) {
    rmSync(moduleFolder(out, config.name), { recursive: true });
  }
  for (const file of [
    RECORD_FILE,
    'evaluation.json',
    'evaluations.jsonl',
    'summary.json',
    'report.html',
    PICTURES_FOLDER,
  ]) {
    rmSync(below(out, file), { force: true, recursive: true });
  }
}

/** Throws a `RunFolderError` that names the difference if `modules` cannot resume from `out`. */
export function checkResumable(out: string, modules: readonly ModuleConfig[]): void {
  checkNoVolume(out);
  checkLinks(out);
  const before = readModules(out).map(({ config }) => config);
  if (before.length === 0) {
    throw new RunFolderError(`${out} holds no run to go on from; leave out --resume`);
  }
  const changes = changesBetween(before, modules);
  if (changes.length === 0) return;
  throw new RunFolderError(
    `the run file is not that of the run in ${out}: ${changes.join('; ')}; go on with the same modules, or give another folder with --out`,
  );
}

function changesBetween(before: readonly ModuleConfig[], after: readonly ModuleConfig[]): string[] {
  const names = (modules: readonly ModuleConfig[]) => modules.map(({ name }) => name).join(', ');
  if (names(before) !== names(after)) {
    return [`its modules were ${names(before)}, now they are ${names(after)}`];
  }
  return after.flatMap((module, index) => {
    const was = trainingIdentity(before[index] as ModuleConfig);
    return Object.entries(trainingIdentity(module))
      .filter(([field, value]) => JSON.stringify(value) !== JSON.stringify(was[field]))
      .map(([field]) => `module ${module.name}: ${field === 'from' ? 'data' : field} changed`);
  });
}

/** Writes the file atomically. */
export const writeJson = (file: string, value: unknown): void =>
  writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);

/** Writes the configuration of every module to the path that its trainer reads. */
export function writeModules(out: string, modules: readonly ModuleConfig[]): void {
  for (const module of modules) {
    const folder = moduleFolder(out, module.name);
    makeFolder(folder);
    writeJson(below(folder, MODULE_FILE), module);
  }
}
