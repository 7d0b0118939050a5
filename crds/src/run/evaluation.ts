import { z } from 'zod';

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
