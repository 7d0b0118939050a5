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
  probeSettingsSchema,
  windowSchema,
} from '../v1alpha1/run.ts';

/**
 * Configuration of a trainer, resolved from the run file: all defaults are filled in, all shapes computed. The planner
 * creates it; the trainer reads it as JSON and needs nothing else of the run.
 */

/** Shape of one sample: patches, rows, cols, channels. */
const sampleShape = z.tuple([z.int().min(1), z.int().min(1), z.int().min(1), z.int().min(1)]);

/** Name that NATS accepts for a stream or a consumer. */
const natsName = z.string().regex(/^[A-Za-z0-9_-]{1,255}$/);
/** Subject without wildcards. */
const natsSubject = z.string().regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/);
/** Name of a Kubernetes object, which is also used in names of folders, streams and subjects. */
const label = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/)
  .max(253);

/** Edge between two modules, as producer and consumer see it. */
const edgeSchema = z.strictObject({
  stream: natsName,
  subject: natsSubject,
  /** Durable consumer through which the later module reads. */
  consumer: natsName,
  encoding: encodingSchema,
  /** True if the producer sends relu(x), because the consumer depends on nothing else of x. */
  rectified: z.boolean(),
  shape: sampleShape,
  /** Encoded bytes of one sample. */
  sampleBytes: z.int().min(1),
  /** Maximum number of samples in the stream, and in the memory of the consumer. */
  depth: z.int().min(1),
  whenFull: z.enum(['dropOldest', 'block']),
  /** Maximum number of uses of a sample after the first. */
  maxReuse: z.int().min(0),
  /** True if the consumer uses each sample maxReuse + 1 times before it takes more. If absent, it reuses only while waiting. */
  stores: z.boolean().optional(),
});
export type Edge = z.infer<typeof edgeSchema>;

export const moduleConfigSchema = z.strictObject({
  run: z.strictObject({ namespace: label, name: label }),
  /** Uid of the run, which distinguishes it from earlier runs of the same name. */
  uid: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
  name: moduleNameSchema,
  /** Index in the order of modules, from 0. */
  index: z.int().min(0),
  seed: z.int(),
  /** Source of samples: the data set for module 0, or else the edge from the previous module. */
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
   * Rows and columns of the grid of patches; their product is the number of patches of a sample. Null for a sequence, whose
   * steps are not pooled.
   */
  grid: z.tuple([z.int(), z.int()]).nullable(),
  /** Shape of one sample at the input of the first layer. */
  input: sampleShape,
  /** Shape of one sample at the output of the last layer. */
  output: sampleShape,
  layers: z.array(layerSchema),
  objective: objectiveSchema,
  optimizer: optimizerSchema,
  precision: precisionSchema,
  batchSize: z.int().min(1),
  /** Number of samples to train on. */
  budget: z.int(),
  /** With iterative, the module sends no output before its budget is spent. */
  order: z.enum(['simultaneous', 'iterative']).default('simultaneous'),
  averaging: averagingSchema,
  /** Edge to the next module; null for the last module. */
  sink: edgeSchema.nullable(),
  checkpoints: checkpointsSchema,
  evaluation: probeSettingsSchema,
});
export type ModuleConfig = z.infer<typeof moduleConfigSchema>;

/**
 * Returns the part of a configuration that identifies a training: a trainer continues only from checkpoints with an equal
 * part. The path of the data may change.
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
