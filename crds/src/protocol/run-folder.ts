import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { folderError } from './own-folder.ts';

/**
 * Layout of a run's folder. A trainer has the folder OUT/modules/MODULE on one machine, and RUN/MODULE/replica-N on a volume
 * of a cluster. Each has checkpoints, history.jsonl and the last configuration of the trainer.
 */

/** Name of the file with a module's configuration, next to its checkpoints. */
export const MODULE_FILE = 'module.json';

/** Name of the folder, in that of a run, with pictures for its report. */
export const PICTURES_FOLDER = 'pictures';
/** Name of the file with points { x, y, label } of each module: test samples projected to a plane. */
export const EMBEDDINGS_FILE = 'embeddings.json';
/** Returns the name of the picture of patches that activate a module's units most, one row for each unit. */
export const patchesFile = (module: string): string => `${module}-patches.png`;

/** Matches the folder of one trainer in the folder of its module. */
export const REPLICA_FOLDER = /^replica-\d+$/;

/** Folders of one module. */
export interface ModulePlace {
  /** Folder with checkpoints, or with folders of replicas. */
  folder: string;
  /** Folder of the first trainer, with module.json and history.jsonl. */
  trainer: string;
}

/** Returns the modules in the folder of a run, in either layout and without order. Empty for other folders. */
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
