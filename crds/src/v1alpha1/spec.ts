import { z } from 'zod';
import { averagingSchema } from './averaging.ts';
import { buffersSchema } from './buffers.ts';
import { immutable, listMap, validated } from './cel.ts';
import { checkpointsSchema } from './checkpoints.ts';
import { augmentationSchema, dataSchema, patchesSchema, windowSchema } from './data.ts';
import { evaluationSchema } from './evaluation.ts';
import { moduleSchema } from './module.ts';
import { objectiveSchema } from './objective.ts';
import { optimizerSchema, precisionSchema } from './optimizer.ts';
import { podTemplateSchema, resourcesSchema } from './pod.ts';

/** Maximum number of modules of a run. */
export const MODULES_MAX = 64;

/** Maximum number of layers of a run, each counted as often as it is repeated. */
export const BLOCKS_MAX = 1024;

export const runSpecSchema = z.strictObject({
  seed: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .default(2)
    .describe('Seed of weights, augmentation, order and negatives. Immutable.')
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
      `The encoder, cut into gradient-isolated modules, from input to output. At most ${BLOCKS_MAX} layers in all, each counted as often as it is repeated. Their names and order are immutable.`,
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
          message: `a run has at most ${BLOCKS_MAX} layers, each counted as often as it is repeated`,
        },
      ),
    }),
  objective: objectiveSchema,
  order: z
    .enum(['simultaneous', 'iterative'])
    .default('simultaneous')
    .describe(
      'simultaneous: all modules train at once, each on what the one before makes of its newest weights. iterative: one after another; a module begins when the one before has spent its budget, which only forwards from then on. Immutable.',
    )
    .meta(immutable('order')),
  optimizer: optimizerSchema.prefault({}),
  precision: precisionSchema,
  batchSize: z
    .int()
    .min(1)
    .max(65_536)
    .default(32)
    .describe('Samples that each optimizer step takes.'),
  training: z
    .strictObject({
      samples: z.int().min(1).max(1e12).optional().describe('Samples that each module trains on.'),
      epochs: z
        .number()
        .positive()
        .max(1e6)
        .optional()
        .describe('The same in passes over the data set.'),
    })
    .describe('The budget of each module: samples or epochs, one of the two.')
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
      'Stop all trainers, which write checkpoints first, and keep the run; false lets them go on.',
    ),
  activeDeadlineSeconds: z
    .int()
    .min(1)
    .max(2_147_483_647)
    .optional()
    .describe(
      'Kubernetes only: seconds after which a run that is still active fails. Suspended time does not count. Default: none.',
    ),
  backoffLimit: z
    .int()
    .min(0)
    .max(1000)
    .optional()
    .describe(
      'Kubernetes only: pod failures of a module after which the run fails. Evictions, preemptions and drains do not count. Default 6.',
    ),
  podTemplate: podTemplateSchema.optional(),
  resources: resourcesSchema
    .optional()
    .describe(
      'Kubernetes only: CPU, memory and devices of each trainer. A trainer asks for one nvidia.com/gpu unless a device is named; a limit of 0 asks for none.',
    ),
  queueName: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .optional()
    .describe('Kubernetes only: the Kueue LocalQueue that the trainers are queued in.'),
  managedBy: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe(
      'Kubernetes only: the controller that takes care of the run; this operator leaves the runs of others alone. Default: this operator.',
    ),
  ttlSecondsAfterFinished: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .describe('Kubernetes only: seconds until a finished run is deleted. Default: never.'),
});
export type RunSpec = z.infer<typeof runSpecSchema>;
