import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ModuleConfig, moduleConfigSchema } from '@greedy-infomax/crds';
import { configHash } from '../train/resume.ts';
import { writeAtomically } from './atomic.ts';
import { CheckpointError } from './errors.ts';
import { encodeSafetensors, type StoredTensor } from './safetensors.ts';
import { type Checkpoint, CheckpointStore } from './store.ts';

/** Optimizer state, which is of no use outside of a training. */
const MOMENTS = 'adam.';
const OBJECTIVE = 'objective.';

/**
 * Writes the trained encoder of the run in `out` into one safetensors file: tensors MODULE.PARAMETER of the
 * newest checkpoint of every module, with the heads of the objectives if `objectives` says so. Throws a
 * `CheckpointError` if a module has no checkpoint.
 */
export async function exportEncoder({
  out,
  file,
  objectives = false,
}: {
  out: string;
  file: string;
  objectives?: boolean;
}): Promise<{ tensors: number; bytes: number }> {
  const modules = await Promise.all(
    readModules(out).map(async (module) => ({ module, checkpoint: await newest(out, module) })),
  );
  const tensors: Record<string, StoredTensor> = {};
  for (const { module, checkpoint } of modules) {
    for (const [name, tensor] of Object.entries(checkpoint.tensors)) {
      const wanted = !name.startsWith(MOMENTS) && (objectives || !name.startsWith(OBJECTIVE));
      if (wanted) tensors[`${module.name}.${name}`] = tensor;
    }
  }
  const bytes = encodeSafetensors({
    tensors,
    metadata: {
      format: 'greedy-infomax-encoder/1',
      run: modules[0]?.module.run.name ?? '',
      modules: JSON.stringify(
        modules.map(({ module: { name, layers, input, output }, checkpoint: { step } }) => ({
          name,
          layers,
          input,
          output,
          step,
        })),
      ),
    },
  });
  await writeAtomically(file, bytes);
  return { tensors: Object.keys(tensors).length, bytes: bytes.length };
}

/** The modules of a run folder, from input to output. */
function readModules(out: string): ModuleConfig[] {
  const folder = join(out, 'modules');
  const files = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => join(folder, name, 'module.json'))
    .filter((file) => existsSync(file));
  if (files.length === 0) {
    throw new CheckpointError(
      `${out} holds no modules/NAME/module.json; give the --out of a run that was trained`,
    );
  }
  return files
    .map((file) => moduleConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8'))))
    .toSorted((a, b) => a.index - b.index);
}

async function newest(out: string, module: ModuleConfig): Promise<Checkpoint> {
  const folder = join(out, 'modules', module.name);
  const { checkpoint, skipped } = await new CheckpointStore(folder, {
    keep: module.checkpoints.keep,
    configHash: configHash(module),
  }).loadNewest();
  if (checkpoint !== null) return checkpoint;
  const damaged = skipped.map(({ file, why }) => `; ${file} is damaged: ${why}`).join('');
  throw new CheckpointError(`module ${module.name} has no checkpoint in ${folder}${damaged}`);
}
