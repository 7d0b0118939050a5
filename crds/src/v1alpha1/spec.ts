import { z } from 'zod';
import { averagingSchema } from './averaging.ts';
import { buffersSchema } from './buffers.ts';
import { immutable, listMap, validated } from './cel.ts';
import { checkpointsSchema } from './checkpoints.ts';
import { augmentationSchema, dataSchema, patchesSchema, windowSchema } from './data.ts';
import { describeValues } from './describe.ts';
import { evaluationSchema } from './evaluation.ts';
import { moduleSchema } from './module.ts';
import { objectiveSchema } from './objective.ts';
import { optimizerSchema, precisionSchema } from './optimizer.ts';
import { podTemplateSchema, resourcesSchema } from './pod.ts';

/** Maximum number of modules of a run. */
export const MODULES_MAX = 64;

/** Maximum number of layers of a run, counting each repetition. */
export const BLOCKS_MAX = 1024;

export const runSpecSchema = z.strictObject({
  seed: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .default(2)
    .describe('Seed of initial weights, augmentation, order of samples and negatives.')
    .meta(immutable('seed')),
  data: dataSchema,
  augmentation: augmentationSchema.optional(),
  patches: patchesSchema.optional(),
  window: windowSchema.optional(),
  modules: z
    .array(moduleSchema)
    .min(1)
    .max(MODULES_MAX)
    .describe(
      `Gradient-isolated modules of the encoder, from input to output, with at most ${BLOCKS_MAX} layers in total, counting each repetition. Modules cannot be added, removed, renamed or reordered.`,
    )
    .meta({
      ...listMap('name'),
      ...validated(
        {
          rule: 'self.map(m, m.name) == oldSelf.map(m, m.name)',
          message: 'modules cannot be added, removed, renamed or moved; make a new run',
        },
        {
          rule: `self.map(m, m.layers.map(l, has(l.repeat) ? l.repeat : 1).sum()).sum() <= ${BLOCKS_MAX}`,
          message: `a run has at most ${BLOCKS_MAX} layers, counting each repetition`,
        },
      ),
    }),
  objective: objectiveSchema,
  order: z
    .enum(['simultaneous', 'iterative'])
    .default('simultaneous')
    .describe(
      describeValues('Order in which modules train.', {
        simultaneous:
          'All modules train at the same time, each on the current output of the previous module.',
        iterative:
          'One after another. A module starts when the previous module has spent its budget and only forwards its output.',
      }),
    )
    .meta(immutable('order')),
  optimizer: optimizerSchema.prefault({}),
  precision: precisionSchema,
  batchSize: z
    .int()
    .min(1)
    .max(65_536)
    .default(32)
    .describe('Number of samples per optimizer step of each trainer.'),
  training: z
    .strictObject({
      samples: z
        .int()
        .min(1)
        .max(1e12)
        .optional()
        .describe('Number of samples that each module trains on.'),
      epochs: z
        .number()
        .positive()
        .max(1e6)
        .optional()
        .describe(
          'Number of passes over the data set, which may be a fraction. On Kubernetes only for data formats with a known size: digits, cifar10 and stl10.',
        ),
    })
    .describe('Budget of each module: exactly one of samples and epochs.')
    .meta(
      validated({
        rule: 'has(self.samples) != has(self.epochs)',
        message: 'training is either samples or epochs',
      }),
    ),
  buffers: buffersSchema.prefault({}),
  averaging: averagingSchema.prefault({}),
  checkpoints: checkpointsSchema.prefault({}),
  evaluation: evaluationSchema.prefault({}),
  suspend: z
    .boolean()
    .default(false)
    .describe(
      'Whether the run is suspended. Trainers write a checkpoint and end. If set back to false, they continue from it.',
    ),
  activeDeadlineSeconds: z
    .int()
    .min(1)
    .max(2_147_483_647)
    .optional()
    .describe(
      'Maximum time in seconds, relative to status.startTime, that the run may be active before it fails. Resuming a suspended run restarts the time. Defaults to no limit. Ignored outside Kubernetes.',
    ),
  backoffLimit: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'Number of pod failures of a module before the run fails. Evictions, preemptions and drains do not count. Defaults to 6 unless the installation sets another number. Ignored outside Kubernetes.',
    ),
  podTemplate: podTemplateSchema.optional(),
  resources: resourcesSchema
    .optional()
    .describe(
      'CPU, memory and devices of each trainer. Requests one nvidia.com/gpu unless a device is named; a limit of 0 GPUs requests none. Ignored outside Kubernetes.',
    ),
  queueName: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .optional()
    .describe(
      'Name of the Kueue LocalQueue for the Jobs of the run. Defaults to no queue. Ignored outside Kubernetes.',
    ),
  managedBy: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe(
      'Name of the controller that manages the run. The operator ignores runs with another name than its own. Defaults to this operator. This field is immutable. Ignored outside Kubernetes.',
    ),
  ttlSecondsAfterFinished: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe(
      'Seconds from the end of a run to its deletion. Defaults to no deletion. Ignored outside Kubernetes.',
    ),
});
export type RunSpec = z.infer<typeof runSpecSchema>;
