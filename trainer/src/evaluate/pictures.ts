import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  EMBEDDINGS_FILE,
  type ModuleConfig,
  PICTURES_FOLDER,
  patchesFile,
} from '@greedy-infomax/crds';
import { embed } from './embedding.ts';
import type { Trained } from './evaluate.ts';
import { excitingPatches } from './patches.ts';

/**
 * Writes what a report shows of the trained modules into OUT/pictures, in place of what was there: patches that excite
 * units, of images; and where test samples lie.
 */
export async function writePictures(
  out: string,
  modules: readonly ModuleConfig[],
  { weights, test }: Trained,
): Promise<void> {
  const folder = join(out, PICTURES_FOLDER);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const embeddings = Object.fromEntries([...test].map(([name, found]) => [name, embed(found)]));
  writeFileSync(join(folder, EMBEDDINGS_FILE), `${JSON.stringify(embeddings)}\n`);
  if (modules[0]?.source.kind !== 'data') return;
  for (const [name, { png }] of await excitingPatches(modules, weights)) {
    writeFileSync(join(folder, patchesFile(name)), png);
  }
}
