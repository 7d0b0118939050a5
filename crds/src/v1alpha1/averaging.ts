import { z } from 'zod';

export const averagingSchema = z
  .strictObject({
    rule: z
      .enum(['average', 'elastic', 'diloco'])
      .default('average')
      .describe(
        'average: take the mean of the weights. elastic: go a part of the way to it. diloco: take the way from the last mean to the new one as a gradient, with momentum.',
      ),
    everySteps: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(50)
      .describe('Optimizer steps of a trainer between two averages.'),
    pull: z
      .number()
      .positive()
      .max(1)
      .default(0.5)
      .describe('elastic: part of the way to the mean.'),
    outerLearningRate: z
      .number()
      .positive()
      .max(10)
      .default(0.7)
      .describe('diloco: step size along the way of the mean.'),
    outerMomentum: z
      .number()
      .min(0)
      .lt(1)
      .default(0.9)
      .describe('diloco: Nesterov momentum of that step.'),
  })
  .describe(
    'How the trainers of a module that has several learn from one another. Without effect on one alone.',
  );
export type Averaging = z.infer<typeof averagingSchema>;
