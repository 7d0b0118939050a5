import { existsSync, readdirSync, rmSync } from 'node:fs';
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

/** The folder of a run on one machine: what is in it, and whether a run may start or go on there. */

/** The folder holds something that the run must not touch, or not what it needs. */
export class RunFolderError extends Error {
  override readonly name = 'RunFolderError';
}

const runRecordSchema = z.strictObject({
  uid: z.string(),
  /** Of all sessions so far. */
  wallSeconds: z.number(),
  versions: z.record(z.string(), z.string()),
  /** The last report of each trainer. */
  reports: z.array(reportSchema),
});
/** Contents of OUT/run.json, which marks the folder of a run: its id, and what its summary is made of. */
export type RunRecord = z.infer<typeof runRecordSchema>;

const RECORD_FILE = 'run.json';
/** File that says which process trains in the folder. */
export const LOCK_FILE = 'run.lock';

export const readRecord = (out: string): RunRecord | undefined =>
  readJson(join(out, RECORD_FILE), runRecordSchema);

export const writeRecord = (out: string, record: RunRecord): void =>
  writeJson(below(out, RECORD_FILE), record);

/** Folder of a module. Throws a `FolderError` for a name or a link that leads out of `out`. */
export const moduleFolder = (out: string, module: string): string => below(out, 'modules', module);

/** Where a trainer of a module writes: the first into the module's folder itself. */
export const trainerFolder = (out: string, module: string, replica: number): string =>
  replica === 0 ? moduleFolder(out, module) : below(out, 'modules', module, `replica-${replica}`);

/** The newest checkpoint of a module; undefined before the first. */
export function newestCheckpoint(out: string, module: string): string | undefined {
  const folder = moduleFolder(out, module);
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder).filter((name) => /^checkpoint-\d+\.safetensors$/.test(name));
  const newest = files.toSorted().at(-1);
  return newest && join(folder, newest);
}

/**
 * Throws a `RunFolderError` when a new run in `out` would mix with the checkpoints of another run, or with files that no
 * run has made; a `FolderError` when a link leads out of it.
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

/** A folder is a run's if it holds the run's record or its modules; any other must be empty. */
function checkOwn(out: string): void {
  const others = contents(out).filter((name) => name !== LOCK_FILE);
  if (others.length === 0 || others.includes(RECORD_FILE) || readModules(out).length > 0) return;
  throw new RunFolderError(
    `${out} holds files that no run has made (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}); give an empty folder, or a new one, with --out`,
  );
}

function contents(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw folderError('cannot use', folder, error);
  }
}

/** What a run on a cluster left is laid out for several trainers a module: read it, but do not train in it. */
function checkNoVolume(out: string): void {
  if (modulePlaces(out).every(({ folder, trainer }) => folder === trainer)) return;
  throw new RunFolderError(
    `${out} holds the checkpoints of a run on a cluster; give another folder with --out`,
  );
}

/** Throws a `RunFolderError` when `out` holds no run, a `FolderError` when a link leads out of it. */
export function checkHoldsRun(out: string): void {
  checkLinks(out);
  if (readModules(out).length > 0) return;
  throw new RunFolderError(
    `${out} holds no run; give the folder that \`gim run\` wrote with --out, or a run's own on the volume of its checkpoints`,
  );
}

/** Removes what a run without a checkpoint has left, so that nothing of it is taken for the new one's. */
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

/** Throws a `RunFolderError` that says what differs when `modules` cannot go on from what is in `out`. */
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

/** Writes the file whole or not at all. */
export const writeJson = (file: string, value: unknown): void =>
  writeWhole(file, `${JSON.stringify(value, null, 2)}\n`);

/** Puts the configuration of every module where its trainer looks for it. */
export function writeModules(out: string, modules: readonly ModuleConfig[]): void {
  for (const module of modules) {
    const folder = moduleFolder(out, module.name);
    makeFolder(folder);
    writeJson(below(folder, MODULE_FILE), module);
  }
}
