import { z } from 'zod';
import { encodingSchema } from '../network/encoding.ts';
import { layerSchema } from '../network/layers.ts';
import { moduleNameSchema } from '../v1alpha1/module.ts';
import {
  augmentationSchema,
  averagingSchema,
  checkpointsSchema,
  dataSchema,
  objectiveSchema,
  optimizerSchema,
  patchesSchema,
  precisionSchema,
  readoutSettingsSchema,
  windowSchema,
} from '../v1alpha1/run.ts';

/**
 * All that a trainer needs to know of its module, resolved from the run file: every default filled in,
 * every shape computed. `plan` makes it; the trainer reads it as JSON and takes nothing else from the run.
 */

/** patches, rows, cols, channels of one sample. */
const sampleShape = z.tuple([z.int().min(1), z.int().min(1), z.int().min(1), z.int().min(1)]);

/** A name that NATS takes for a stream or a consumer. */
const natsName = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/);
/** A subject without wildcards. */
const natsSubject = z.string().regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/);
/** Names of Kubernetes, which also become names of folders, streams and subjects. */
const label = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/)
  .max(253);

/** One side of an edge. */
const edgeSchema = z.strictObject({
  stream: natsName,
  subject: natsSubject,
  /** The durable consumer through which the later module reads. */
  consumer: natsName,
  encoding: encodingSchema,
  /** The producer sends relu(x): the consumer reads nothing else of x. */
  rectified: z.boolean(),
  shape: sampleShape,
  /** Encoded bytes of one sample. */
  sampleBytes: z.int().min(1),
  /** Samples that the stream holds, and that the consumer keeps. */
  depth: z.int().min(1),
  whenFull: z.enum(['dropOldest', 'block']),
  /** Times that the consumer may use a sample again after the first. */
  maxReuse: z.int().min(0),
  /** Whether it uses all that it holds so often before it takes more. Absent: only what it lacks newer ones for. */
  stores: z.boolean().optional(),
});
export type Edge = z.infer<typeof edgeSchema>;

export const moduleConfigSchema = z.strictObject({
  run: z.strictObject({ namespace: label, name: label }),
  /** Tells a run from an earlier one of the same name. */
  uid: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
  name: moduleNameSchema,
  /** Place in the order of modules, from 0. */
  index: z.int().min(0),
  seed: z.int(),
  /** Where samples come from: the data set (module 0) or the edge from the module before. */
  source: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('data'),
      data: dataSchema,
      augmentation: augmentationSchema,
      patches: patchesSchema,
    }),
    z.strictObject({ kind: z.literal('speech'), data: dataSchema, window: windowSchema }),
    z.strictObject({ kind: z.literal('edge'), edge: edgeSchema }),
  ]),
  /**
   * Rows and columns of the grid of patches; their product is the number of patches of a sample. Null: a
   * sample is one sequence, whose steps are not pooled.
   */
  grid: z.tuple([z.int(), z.int()]).nullable(),
  /** Shape of one sample as the first layer gets it. */
  input: sampleShape,
  /** Shape of one sample behind the last layer. */
  output: sampleShape,
  layers: z.array(layerSchema),
  objective: objectiveSchema,
  optimizer: optimizerSchema,
  precision: precisionSchema,
  batchSize: z.int().min(1),
  /** Samples to train on. */
  budget: z.int(),
  /** iterative: the next module gets nothing before the budget is spent. */
  order: z.enum(['simultaneous', 'iterative']).default('simultaneous'),
  averaging: averagingSchema,
  /** The edge to the next module; null for the last. */
  sink: edgeSchema.nullable(),
  checkpoints: checkpointsSchema,
  evaluation: readoutSettingsSchema,
});
export type ModuleConfig = z.infer<typeof moduleConfigSchema>;

/**
 * The part of a configuration that the weights depend on: with the same, a training goes on from a checkpoint. The
 * place of the data may change.
 */
export function trainingIdentity({
  input,
  output,
  layers,
  objective,
  source,
  seed,
}: ModuleConfig): Record<string, unknown> {
  const from =
    source.kind === 'data'
      ? { format: source.data.format, augmentation: source.augmentation, patches: source.patches }
      : source.kind === 'speech'
        ? { format: source.data.format, window: source.window }
        : source.kind;
  return { input, output, layers, objective, seed, from };
}
