import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  below,
  MODULE_FILE,
  type ModuleConfig,
  makeFolder,
  writeWhole,
} from '@greedy-infomax/crds';
import { moduleWeights } from '../module/program.ts';
import { configHash } from './config-hash.ts';
import { CheckpointError } from './errors.ts';
import { isReference, isWholeReference, ofModule, renamed } from './reference.ts';
import { decodeSafetensors, type StoredTensor } from './safetensors.ts';
import { CheckpointStore } from './store.ts';
import { fromTorch } from './torch.ts';

/** Result of the import of a module. */
export interface Imported {
  module: string;
  /** Number of imported weights. */
  tensors: number;
  /** Weights of the objective, in PyTorch's names, that the file lacks; they keep their initial values. */
  missing: string[];
  /** Tensors of the file that the module does not use. */
  unused: string[];
}

/**
 * Creates the folder `out` of a run whose modules have the weights of `files`, at step 0. Files are safetensors of PyTorch
 * weights, with the names of `gim export --format pytorch` or of the reference: one file for all modules, or one per module
 * in their order.
 * @throws CheckpointError if a weight of an encoder is missing or has another shape
 */
export async function importWeights({
  modules,
  files,
  out,
}: {
  modules: readonly ModuleConfig[];
  files: readonly string[];
  out: string;
}): Promise<Imported[]> {
  if (files.length !== 1 && files.length !== modules.length) {
    const names = modules.map(({ name }) => name).join(', ');
    throw new CheckpointError(
      `${files.length} files for ${modules.length} modules (${names}); give one for each in this order, or one with all`,
    );
  }
  // Read and check everything before the first write.
  const read = await Promise.all(modules.map((module, i) => readModule(module, i, files)));
  for (const [i, module] of modules.entries()) {
    const folder = below(out, 'modules', module.name);
    makeFolder(folder);
    writeWhole(below(folder, MODULE_FILE), `${JSON.stringify(module, null, 2)}\n`);
    const { keep } = module.checkpoints;
    const store = new CheckpointStore(folder, { keep, configHash: configHash(module) });
    const tensors = read[i]?.tensors ?? {};
    await store.save({ step: 0, samples: 0, tensors, state: {} });
  }
  return read.map(({ result }) => result);
}

async function readModule(module: ModuleConfig, index: number, files: readonly string[]) {
  const file = files[files.length === 1 ? 0 : index] as string;
  const tensors = await readTensors(file);
  const initial = moduleWeights(module);
  const shapes = Object.fromEntries(
    Object.entries(initial).map(([name, { shape }]) => [name, shape]),
  );
  try {
    const own = partOf(module.name, index, tensors, files.length === 1);
    const { found, missing, unused } = fromTorch(own, shapes, module.layers);
    const encoder = missing.filter((name) => !name.startsWith('objective.'));
    if (encoder.length > 0) throw new CheckpointError(`it lacks ${encoder.join(', ')}`);
    const weights = Object.fromEntries(
      Object.entries(initial).map(([name, { shape, values }]): [string, StoredTensor] => [
        name,
        found[name] ?? { dtype: 'F32', shape: [...shape], data: Float32Array.from(values) },
      ]),
    );
    const count = Object.keys(found).length;
    return { tensors: weights, result: { module: module.name, tensors: count, missing, unused } };
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(
      `${basename(file)} does not fit module ${module.name}: ${error.message}`,
    );
  }
}

async function readTensors(file: string): Promise<Record<string, StoredTensor>> {
  try {
    return decodeSafetensors(await readFile(file)).tensors;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'the file does not exist' : message;
    throw new CheckpointError(`${file} cannot be imported: ${why}; give a safetensors file`);
  }
}

/** Returns the tensors of one module, in PyTorch's names. */
function partOf(
  name: string,
  index: number,
  tensors: Record<string, StoredTensor>,
  alone: boolean,
): Record<string, StoredTensor> {
  if (isReference(tensors)) {
    return renamed(isWholeReference(tensors) ? ofModule(tensors, index) : tensors);
  }
  const prefix = `${name}.`;
  const own = Object.entries(tensors).filter(([key]) => key.startsWith(prefix));
  if (own.length === 0 && !alone) return tensors;
  return Object.fromEntries(own.map(([key, tensor]) => [key.slice(prefix.length), tensor]));
}
