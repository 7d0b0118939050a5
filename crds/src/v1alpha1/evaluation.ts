import { z } from 'zod';
import { resourcesSchema } from './pod.ts';

export const evaluationSchema = z
  .strictObject({
    atEnd: z
      .boolean()
      .default(true)
      .describe(
        'Train a linear readout on every module when the run ends. On Kubernetes that takes checkpoints.storage.',
      ),
    everySamples: z
      .int()
      .min(1)
      .max(1e12)
      .optional()
      .describe(
        'Also do so while the run trains, each time that its slowest module has trained on so many more samples. Default: never.',
      ),
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
    resources: resourcesSchema
      .optional()
      .describe(
        'Kubernetes only: CPU, memory and devices of the pod that reads out. Default: spec.resources, with one GPU; a limit of 0 GPUs lets it run on CPUs, beside trainers that have taken them all.',
      ),
  })
  .describe('Linear readouts on the frozen features of each module.');
export type Evaluation = z.infer<typeof evaluationSchema>;

/** How readouts are trained. When, and in what pod, is no concern of a trainer. */
export const readoutSettingsSchema = evaluationSchema.omit({
  atEnd: true,
  everySamples: true,
  resources: true,
});
export type ReadoutSettings = z.infer<typeof readoutSettingsSchema>;
