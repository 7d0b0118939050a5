import { z } from 'zod';
import { listMap } from './cel.ts';

/** What the operator says of a run or a module. */

const time = () => z.string().max(64).meta({ format: 'date-time' });

export const conditionSchema = z.strictObject({
  type: z.string().max(316).describe('What the condition is about.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  reason: z.string().max(1024).describe('Why, in one word.'),
  message: z.string().max(32_768).describe('Why, in words.'),
  lastTransitionTime: time().describe('When status last changed.'),
  observedGeneration: z.int().min(0).optional().describe('Generation that it was found for.'),
});
export type Condition = z.infer<typeof conditionSchema>;

export const conditionsSchema = z
  .array(conditionSchema)
  .max(32)
  .optional()
  .describe('What holds now.')
  .meta(listMap('type'));

const progress = {
  phase: z.string().max(32).optional().describe('What it is doing.'),
  step: z.int().min(0).optional().describe('Optimizer steps made.'),
  samples: z.int().min(0).optional().describe('Samples trained on.'),
  percent: z.int().min(0).max(100).optional().describe('Part of the budget that is spent.'),
  loss: z.number().optional().describe('Mean of the last steps.'),
  samplesPerSecond: z.number().optional().describe('Over the last seconds.'),
};

export const moduleStatusSchema = z
  .strictObject({
    replicas: z.int().min(0).optional().describe('Trainers that there are.'),
    readyReplicas: z.int().min(0).optional().describe('Trainers that are at work.'),
    selector: z.string().max(1024).optional().describe('Labels of the pods, for autoscalers.'),
    ...progress,
    conditions: conditionsSchema,
  })
  .describe('How the module is doing.');
export type ModuleStatus = z.infer<typeof moduleStatusSchema>;

export const runStatusSchema = z
  .strictObject({
    phase: z
      .enum(['Pending', 'Running', 'Suspended', 'Completed', 'Failed'])
      .optional()
      .describe('Sums the conditions up.'),
    conditions: conditionsSchema,
    modules: z
      .array(
        z.strictObject({
          name: z.string().max(40).describe('Name of the module.'),
          ...progress,
          samplesDropped: z.int().min(0).optional().describe('Samples that were never used.'),
          accuracy: z.number().optional().describe('Of the linear readout, between 0 and 1.'),
          accuracyUntrained: z
            .number()
            .optional()
            .describe('The same with the weights that training began with.'),
        }),
      )
      .max(64)
      .optional()
      .describe('Each module.')
      .meta(listMap('name')),
    startTime: time().optional().describe('When training began.'),
    completionTime: time().optional().describe('When the run ended.'),
    observedGeneration: z.int().min(0).optional().describe('Generation that this is about.'),
  })
  .describe('How the run is doing.');
export type RunStatus = z.infer<typeof runStatusSchema>;
