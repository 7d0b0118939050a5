import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { folderError } from './own-folder.ts';

/**
 * Where trainers leave what they make. On one machine: OUT/modules/MODULE. On a volume of a cluster, where a
 * module may have several trainers: RUN/MODULE/replica-N. Each place holds checkpoints, history.jsonl and
 * the configuration that its trainer was given last.
 */

/** File with a module's configuration beside its checkpoints. */
export const MODULE_FILE = 'module.json';

/** Folder below that of a run with what its report shows of the modules. */
export const PICTURES_FOLDER = 'pictures';
/** By module a list of points { x, y, label }: test samples laid out in a plane. */
export const EMBEDDINGS_FILE = 'embeddings.json';
/** Patches that excite a module's units, a row a unit. */
export const patchesFile = (module: string): string => `${module}-patches.png`;

/** Folder of one trainer below that of its module. */
export const REPLICA_FOLDER = /^replica-\d+$/;

/** What a run has left of one module. */
export interface ModulePlace {
  /** Checkpoints lie in it, or in folders of replicas below it. */
  folder: string;
  /** Of its first trainer: with module.json and history.jsonl. */
  trainer: string;
}

/** The modules in the folder of a run, in either layout and no order; empty if it is no such folder. */
export function modulePlaces(run: string): ModulePlace[] {
  const onVolume = subfolders(run).flatMap((name) => {
    const folder = join(run, name);
    const replicas = subfolders(folder).filter((replica) => REPLICA_FOLDER.test(replica));
    const first = replicas
      .toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))
      .map((replica) => join(folder, replica))
      .find(holdsModule);
    return first === undefined ? [] : [{ folder, trainer: first }];
  });
  if (onVolume.length > 0) return onVolume;
  return subfolders(join(run, 'modules'))
    .map((name) => join(run, 'modules', name))
    .filter(holdsModule)
    .map((folder) => ({ folder, trainer: folder }));
}

const holdsModule = (folder: string): boolean => existsSync(join(folder, MODULE_FILE));

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    throw folderError('cannot read', folder, error);
  }
}
