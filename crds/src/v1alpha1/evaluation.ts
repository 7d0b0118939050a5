import { z } from 'zod';
import { resourcesSchema } from './pod.ts';

export const evaluationSchema = z
  .strictObject({
    atEnd: z
      .boolean()
      .default(true)
      .describe(
        'Whether to evaluate every module after training. On Kubernetes, this requires checkpoints.storage.',
      ),
    everySamples: z
      .int()
      .min(1)
      .max(1e12)
      .optional()
      .describe(
        'Number of samples between two evaluations during training, counted for the module with the fewest samples. Defaults to no evaluation during training.',
      ),
    epochs: z
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('Number of passes of a linear probe over the labelled samples.'),
    batchSize: z
      .int()
      .min(1)
      .max(65_536)
      .default(128)
      .describe('Number of samples per optimizer step of a linear probe.'),
    learningRate: z
      .number()
      .positive()
      .max(10)
      .default(1e-3)
      .describe('Learning rate of a linear probe, trained with Adam.'),
    resources: resourcesSchema
      .optional()
      .describe(
        'CPU, memory and devices of the evaluation pod. Defaults to spec.resources with one GPU. A limit of 0 GPUs runs the evaluation on CPUs, beside trainers that occupy all GPUs. Ignored outside Kubernetes.',
      ),
  })
  .describe(
    'Evaluation of each module by linear probes: linear classifiers trained on its frozen features.',
  );
export type Evaluation = z.infer<typeof evaluationSchema>;

/** Settings of linear probes that a trainer needs: all but the schedule and the pod. */
export const probeSettingsSchema = evaluationSchema.omit({
  atEnd: true,
  everySamples: true,
  resources: true,
});
export type ProbeSettings = z.infer<typeof probeSettingsSchema>;
