import { z } from 'zod';

export const optimizerSchema = z
  .strictObject({
    type: z.enum(['adam']).default('adam').describe('The rule.'),
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
  .describe('The optimizer of each module.');
export type Optimizer = z.infer<typeof optimizerSchema>;
