import { rmSync } from 'node:fs';
import {
  below,
  EMBEDDINGS_FILE,
  type ModuleConfig,
  makeFolder,
  PICTURES_FOLDER,
  patchesFile,
  writeWhole,
} from '@greedy-infomax/crds';
import { embed } from './embedding.ts';
import type { Trained } from './evaluate.ts';
import { excitingPatches } from './patches.ts';

/**
 * Writes the pictures of a report into OUT/pictures and replaces old ones: embeddings of test samples and, for images,
 * patches that activate units most.
 */
export async function writePictures(
  out: string,
  modules: readonly ModuleConfig[],
  { weights, test }: Trained,
): Promise<void> {
  const folder = below(out, PICTURES_FOLDER);
  rmSync(folder, { recursive: true, force: true });
  makeFolder(folder);
  const embeddings = Object.fromEntries([...test].map(([name, found]) => [name, embed(found)]));
  writeWhole(below(folder, EMBEDDINGS_FILE), `${JSON.stringify(embeddings)}\n`);
  if (modules[0]?.source.kind !== 'data') return;
  for (const [name, { png }] of await excitingPatches(modules, weights)) {
    writeWhole(below(folder, patchesFile(name)), png);
  }
}
