import { z } from 'zod';
import { describeValues } from './describe.ts';

export const optimizerSchema = z
  .strictObject({
    type: z.enum(['adam']).default('adam').describe('Optimizer type.'),
    learningRate: z.number().positive().max(10).default(2e-4).describe('Learning rate.'),
    beta1: z
      .number()
      .min(0)
      .lt(1)
      .default(0.9)
      .describe('Exponential decay rate of the first moment.'),
    beta2: z
      .number()
      .min(0)
      .lt(1)
      .default(0.999)
      .describe('Exponential decay rate of the second moment.'),
    epsilon: z
      .number()
      .positive()
      .max(1)
      .default(1e-8)
      .describe('Term added to the square root of the second moment, against division by zero.'),
  })
  .describe('Optimizer of every module that does not set its own.');
export type Optimizer = z.infer<typeof optimizerSchema>;

export const precisionSchema = z
  .enum(['float32', 'bfloat16'])
  .default('float32')
  .describe(
    describeValues(
      'Number format of matrix multiplications and convolutions in a training step. Weights, optimizer state and loss are always float32.',
      {
        float32: 'Runs on all processors.',
        bfloat16:
          'Faster on processors with bfloat16 instructions (AMX, tensor cores). Trainers on other processors log a warning and use float32.',
      },
    ),
  );
export type Precision = z.infer<typeof precisionSchema>;
