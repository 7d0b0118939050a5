import { modulePodTemplateSchema, resourcesSchema } from '@greedy-infomax/crds';
import { z } from 'zod';

/** Defaults for all runs of an installation; a run's own values take precedence. */

export const runDefaultsSchema = z.strictObject({
  /** Merged onto the operator's pods, below the run's template. */
  podTemplate: modulePodTemplateSchema.optional(),
  /** Security context of the pods, in place of the operator's; {} leaves user and group to the cluster. */
  podSecurityContext: z.looseObject({}).optional(),
  /** Resources of each trainer whose run and module name none. */
  resources: resourcesSchema.optional(),
  /** Resources of the evaluation's pod. Default: those of the run's trainers. */
  evaluationResources: resourcesSchema.optional(),
  /** Resources of the pod that removes checkpoints. */
  cleanupResources: resourcesSchema.optional(),
  /** Pod failures of a module after which the run fails. */
  backoffLimit: z.int().min(0).max(1000).optional(),
});
export type RunDefaults = z.infer<typeof runDefaultsSchema>;

/** The defaults are not JSON, or have validation errors. */
export class RunDefaultsError extends Error {
  override readonly name = 'RunDefaultsError';
}

/** Parses JSON. `source` begins the error's message. @throws RunDefaultsError */
export function parseRunDefaults(text: string, source: string): RunDefaults {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RunDefaultsError(`${source} is not JSON: ${(error as Error).message}`);
  }
  const { data, error } = runDefaultsSchema.safeParse(value);
  if (data) return data;
  const errors = error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new RunDefaultsError(`${source}: ${errors.join('; ')}`);
}
