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

const percentiles = (what: string) =>
  z
    .strictObject({
      p50: z.number().describe('Half of the samples were no staler.'),
      p95: z.number().describe('Of twenty samples, nineteen were no staler.'),
    })
    .optional()
    .describe(what);

const count = (what: string) => z.int().min(0).optional().describe(what);

export const phaseSchema = z
  .enum([
    'Pending',
    'Starting',
    'Training',
    'Forwarding',
    'Evaluating',
    'Suspending',
    'Suspended',
    'Stopped',
    'Complete',
    'Failed',
  ])
  .describe(
    'What it is doing. Forwarding: its budget is spent, later modules still need it. Evaluating: all modules are trained and are being read out. Stopped: another module failed the run.',
  );
export type Phase = z.infer<typeof phaseSchema>;

const percent = z.int().min(0).max(100).optional();

/** Figures from the reports of a module's trainers. */
export const figuresSchema = z.strictObject({
  step: count('Optimizer steps made.'),
  samples: count('Samples trained on.'),
  percent: percent.describe('Part of the budget that is spent.'),
  etaSeconds: count('Seconds until the budget is spent, at the present rate.'),
  loss: z.number().optional().describe('Mean loss of the last steps.'),
  samplesPerSecond: z
    .number()
    .optional()
    .describe('Samples trained on a second, over the last seconds.'),
  stalenessSteps: percentiles(
    'Optimizer steps that the module before had made since it computed the samples used.',
  ),
  stalenessSeconds: percentiles('Age in seconds of the samples used.'),
  samplesDropped: count('Samples that were never used.'),
  samplesReused: count('Uses of a sample after its first.'),
  checkpointStep: count('Step of the newest checkpoint.'),
});
export type Figures = z.infer<typeof figuresSchema>;

export const moduleStatusSchema = z
  .strictObject({
    replicas: count('Trainers that there are.'),
    readyReplicas: count('Trainers that are at work.'),
    selector: z.string().max(1024).optional().describe('Labels of the pods, for autoscalers.'),
    phase: phaseSchema.optional(),
    ...figuresSchema.shape,
    conditions: conditionsSchema,
  })
  .describe('How the module is doing.');
export type ModuleStatus = z.infer<typeof moduleStatusSchema>;

const accuracy = (what: string) => z.number().min(0).max(1).optional().describe(what);

export const moduleRowSchema = z.strictObject({
  name: z.string().max(40).describe('Name of the module.'),
  phase: phaseSchema,
  reason: z.string().max(1024).optional().describe('Why it is not at work, in one word.'),
  message: z.string().max(32_768).optional().describe('Why it is not at work, in words.'),
  replicas: z.int().min(0).describe('Trainers that there should be.'),
  readyReplicas: z.int().min(0).describe('Trainers that are at work.'),
  restarts: count('Trainers that failed and were started again; disruptions do not count.'),
  ...figuresSchema.shape,
  accuracy: accuracy('Accuracy of the linear readout, between 0 and 1.'),
  accuracyUntrained: accuracy('The same with the weights that training began with.'),
});
export type ModuleRow = z.infer<typeof moduleRowSchema>;

export const runStatusSchema = z
  .strictObject({
    phase: phaseSchema.optional(),
    message: z.string().max(32_768).optional().describe('Why it is Pending, or what ended it.'),
    ready: z.string().max(32).optional().describe('Ready trainers of those wanted, such as 2/3.'),
    percent: percent.describe('Part of the budget that the slowest module has spent.'),
    etaSeconds: count('Seconds until the slowest module has spent its budget.'),
    conditions: conditionsSchema,
    modules: z
      .array(moduleRowSchema)
      .max(64)
      .optional()
      .describe('How each module is doing.')
      .meta(listMap('name')),
    evaluatedSamples: count(
      'Samples of the slowest module when the newest readouts that have ended were asked for.',
    ),
    startTime: time().optional().describe('When the trainers were last let loose.'),
    completionTime: time().optional().describe('When the run ended.'),
    observedGeneration: count('Generation of the run that this status is about.'),
  })
  .describe('How the run is doing.');
export type RunStatus = z.infer<typeof runStatusSchema>;
