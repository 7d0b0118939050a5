import { z } from 'zod';
import { encodingSchema } from '../network/encoding.ts';
import { layerSchema } from '../network/layers.ts';
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
const sampleShape = z.tuple([z.int(), z.int(), z.int(), z.int()]);

/** One side of an edge. */
const edgeSchema = z.strictObject({
  stream: z.string(),
  subject: z.string(),
  /** The durable consumer through which the later module reads. */
  consumer: z.string(),
  encoding: encodingSchema,
  /** The producer sends relu(x): the consumer reads nothing else of x. */
  rectified: z.boolean(),
  shape: sampleShape,
  /** Encoded bytes of one sample. */
  sampleBytes: z.int(),
  /** Samples that the stream holds, and that the consumer keeps. */
  depth: z.int(),
  whenFull: z.enum(['dropOldest', 'block']),
  /** Times that the consumer may use a sample again after the first. */
  maxReuse: z.int(),
  /** Whether it uses all that it holds so often before it takes more. Absent: only what it lacks newer ones for. */
  stores: z.boolean().optional(),
});
export type Edge = z.infer<typeof edgeSchema>;

export const moduleConfigSchema = z.strictObject({
  run: z.strictObject({ namespace: z.string(), name: z.string() }),
  /** Tells a run from an earlier one of the same name. */
  uid: z.string(),
  name: z.string(),
  /** Place in the order of modules, from 0. */
  index: z.int(),
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
  batchSize: z.int(),
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
