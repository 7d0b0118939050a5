import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  EMBEDDINGS_FILE,
  MODULE_FILE,
  type ModuleConfig,
  moduleConfigSchema,
  modulePlaces,
  PICTURES_FOLDER,
  patchesFile,
  readWhole,
  reportSchema,
} from '@greedy-infomax/crds';
import { z } from 'zod';

/** Reads the files of a run's folder. Missing files are not an error: a run may fail early. */

/** A file of a run folder has invalid content. */
export class BrokenFileError extends Error {
  override readonly name = 'BrokenFileError';
}

const historyLineSchema = z.object({
  samples: z.int(),
  ...reportSchema.pick({
    step: true,
    loss: true,
    samplesPerSecond: true,
    stalenessSteps: true,
    stalenessSeconds: true,
    samplesDropped: true,
    samplesReused: true,
    memoryBytes: true,
    at: true,
  }).shape,
});
/** Entry of a trainer's history, about one second of training. */
export type HistoryLine = z.infer<typeof historyLineSchema>;

const accuracy = z.number().min(0).max(1);

const evaluationResultSchema = z.object({
  modules: z.array(
    z.object({
      name: z.string(),
      accuracy,
      accuracyUntrained: accuracy,
      accuracies: z
        .record(z.string(), z.object({ accuracy, accuracyUntrained: accuracy }))
        .optional(),
    }),
  ),
});
/** Accuracies of the linear probes, between 0 and 1. */
export type EvaluationResult = z.infer<typeof evaluationResultSchema>;

/** Configuration and history of one module, from the folder. */
export interface ModuleRecord {
  config: ModuleConfig;
  history: HistoryLine[];
}

/**
 * Returns the modules of the run in `out`, from input to output. Throws a `BrokenFileError`, also for a module in the
 * folder of another one.
 */
export function readModules(out: string): ModuleRecord[] {
  return modulePlaces(out)
    .flatMap(({ folder, trainer }) => {
      const config = readJson(join(trainer, MODULE_FILE), moduleConfigSchema);
      if (config && config.name !== basename(folder)) {
        throw new BrokenFileError(
          `${join(trainer, MODULE_FILE)} is of module ${config.name}, but lies in the folder of ${basename(folder)}; give each module its own folder back`,
        );
      }
      return config ? [{ config, history: readHistory(join(trainer, 'history.jsonl')) }] : [];
    })
    .toSorted((a, b) => a.config.index - b.config.index);
}

/** Returns the accuracies in `out`, or undefined without an evaluation. Throws a `BrokenFileError`. */
export const readEvaluation = (out: string): EvaluationResult | undefined =>
  readJson(join(out, 'evaluation.json'), evaluationResultSchema);

const embeddingsSchema = z.record(
  z.string(),
  z.array(z.object({ x: z.number(), y: z.number(), label: z.int() })),
);
/** Embeddings of test samples, by module. */
export type Embeddings = z.infer<typeof embeddingsSchema>;

/** Returns the embeddings in `out`, or undefined without them. Throws a `BrokenFileError`. */
export const readEmbeddings = (out: string): Embeddings | undefined =>
  readJson(join(out, PICTURES_FOLDER, EMBEDDINGS_FILE), embeddingsSchema);

/** Returns the PNG of the patches that activate a module most, or undefined without it. */
export function readPatches(out: string, module: string): Buffer | undefined {
  const file = join(out, PICTURES_FOLDER, patchesFile(module));
  return existsSync(file) ? readWhole(file) : undefined;
}

/** Returns the text of `file`, or undefined if it does not exist. */
export function readText(file: string): string | undefined {
  try {
    return readWhole(file).toString('utf8');
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Returns the content of `file`, or undefined if it does not exist. Throws a `BrokenFileError`. */
export function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  const text = readText(file);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new BrokenFileError(
      `${file} does not hold what a run writes there: ${reason}; remove it, or run again into another folder`,
    );
  }
}

/** Returns the complete lines: a trainer that dies may truncate its last line. */
function readHistory(file: string): HistoryLine[] {
  return (readText(file) ?? '').split('\n').flatMap((line) => {
    try {
      return [historyLineSchema.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}
