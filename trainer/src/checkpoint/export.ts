import { join } from 'node:path';
import {
  MODULE_FILE,
  type ModuleConfig,
  moduleConfigSchema,
  modulePlaces,
  readWhole,
} from '@greedy-infomax/crds';
import { writeAtomically } from './atomic.ts';
import { CheckpointError } from './errors.ts';
import { newestCheckpoint } from './newest.ts';
import { encodeSafetensors, type StoredTensor } from './safetensors.ts';
import type { Checkpoint } from './store.ts';
import { toTorch } from './torch.ts';

/** Formats of exported weights: names and layouts of TensorFlow, as in checkpoints, or of PyTorch. */
export const EXPORT_FORMATS = ['tensorflow', 'pytorch'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Prefix of the optimizer state, which is not exported. */
const MOMENTS = 'adam.';
const OBJECTIVE = 'objective.';

/**
 * Writes the trained encoder of the run in `out` into one safetensors file: tensors MODULE.PARAMETER of the newest
 * checkpoint of every module, over all replicas. `objectives` includes the heads of the objectives. `torch.ts` describes
 * names and layouts of PyTorch.
 * @throws CheckpointError if a module has no checkpoint
 */
export async function exportEncoder({
  out,
  file,
  objectives = false,
  format = 'tensorflow',
}: {
  out: string;
  file: string;
  objectives?: boolean;
  format?: ExportFormat;
}): Promise<{ tensors: number; bytes: number }> {
  const modules = await readRun(out);
  const tensors: Record<string, StoredTensor> = {};
  for (const { module, checkpoint } of modules) {
    const wanted = Object.fromEntries(
      Object.entries(checkpoint.tensors).filter(
        ([name]) => !name.startsWith(MOMENTS) && (objectives || !name.startsWith(OBJECTIVE)),
      ),
    );
    const given = format === 'pytorch' ? toTorch(wanted, module.layers) : wanted;
    for (const [name, tensor] of Object.entries(given)) tensors[`${module.name}.${name}`] = tensor;
  }
  const bytes = encodeSafetensors({
    tensors,
    metadata: {
      format: 'greedy-infomax-encoder/1',
      layout: format,
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

/** Returns the modules of a run folder, from input to output, each with its newest checkpoint. */
async function readRun(out: string): Promise<{ module: ModuleConfig; checkpoint: Checkpoint }[]> {
  const modules = modulePlaces(out).map(({ folder, trainer }) => {
    const text = readWhole(join(trainer, MODULE_FILE)).toString('utf8');
    return { folder, module: moduleConfigSchema.parse(JSON.parse(text)) };
  });
  if (modules.length === 0) {
    throw new CheckpointError(
      `${out} holds neither modules/NAME/${MODULE_FILE} nor NAME/replica-0/${MODULE_FILE}; give the --out of a run that was trained, or the run's folder on the volume of its checkpoints`,
    );
  }
  return Promise.all(
    modules
      .toSorted((a, b) => a.module.index - b.module.index)
      .map(async ({ folder, module }) => ({
        module,
        checkpoint: await newestCheckpoint(module, folder),
      })),
  );
}
