import { z } from 'zod';
import { describeValues } from './describe.ts';

export const averagingSchema = z
  .strictObject({
    rule: z
      .enum(['average', 'elastic', 'diloco'])
      .default('average')
      .describe(
        describeValues('Rule that updates the weights of a replica.', {
          average: 'Replaces the weights with the mean over all replicas.',
          elastic: 'Moves the weights towards the mean by the fraction pull.',
          diloco:
            'Takes the change of the mean since the last round as a gradient for SGD with Nesterov momentum.',
        }),
      ),
    everySteps: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(50)
      .describe('Number of optimizer steps of a replica between two rounds of averaging.'),
    pull: z
      .number()
      .positive()
      .max(1)
      .default(0.5)
      .describe('Fraction of the distance to the mean that a round covers. Used by elastic.'),
    outerLearningRate: z
      .number()
      .positive()
      .max(10)
      .default(0.7)
      .describe('Learning rate of the outer SGD step. Used by diloco.'),
    outerMomentum: z
      .number()
      .min(0)
      .lt(1)
      .default(0.9)
      .describe('Nesterov momentum of the outer SGD step. Used by diloco.'),
  })
  .describe(
    'Averaging of weights between the replicas of a module. Has no effect on a module with one replica.',
  );
export type Averaging = z.infer<typeof averagingSchema>;
