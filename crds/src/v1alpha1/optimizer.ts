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

export const precisionSchema = z
  .enum(['float32', 'bfloat16'])
  .default('float32')
  .describe(
    'What the products of a training step are taken of; weights, optimizer and loss are float32 in either. bfloat16 is faster where processors multiply it themselves (AMX, tensor cores) and slower where they do not.',
  );
export type Precision = z.infer<typeof precisionSchema>;
