import { z } from 'zod';
import { listMap } from './cel.ts';

/** Status of runs and modules, written by the operator. */

const time = () => z.string().max(64).meta({ format: 'date-time' });

export const conditionSchema = z.strictObject({
  type: z.string().max(316).describe('Name of the condition.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  reason: z.string().max(1024).describe('Reason of the status, as one CamelCase word.'),
  message: z.string().max(32_768).describe('Reason of the status, as a sentence.'),
  lastTransitionTime: time().describe('Time the status last changed.'),
  observedGeneration: z.int().min(0).optional().describe('Generation of the spec it is about.'),
});
export type Condition = z.infer<typeof conditionSchema>;

export const conditionsSchema = z
  .array(conditionSchema)
  .max(32)
  .optional()
  .describe(
    'Ready: all trainers work, or all have finished. Progressing: it gets on. Degraded: something needs attention. Stalled: it cannot go on by itself. Complete, Failed: how it ended.',
  )
  .meta(listMap('type'));

export const failureSchema = z.strictObject({
  reason: z.string().max(1024).describe('Reason, such as OOMKilled, Evicted or Diverged.'),
  message: z.string().max(1024).describe("The trainer's own error where it left one."),
  exitCode: z
    .int()
    .min(-(2 ** 31))
    .optional()
    .describe("Exit code of the trainer's container."),
  time: time().describe('Time the pod ended.'),
  pod: z.string().max(253).optional().describe('Name of the pod.'),
  node: z.string().max(253).optional().describe('Name of its node.'),
});
export type Failure = z.infer<typeof failureSchema>;

const lastFailure = () =>
  failureSchema
    .optional()
    .describe('Newest failure of a trainer. It stays when the next trainer works.');

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
    restarts: count('Trainers that failed and were started again; disruptions do not count.'),
    lastFailure: lastFailure(),
    ...figuresSchema.shape,
    conditions: conditionsSchema,
    observedGeneration: count('Generation of the module that this status is about.'),
  })
  .describe('State of the module.');
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
  lastFailure: lastFailure(),
  ...figuresSchema.shape,
  accuracy: accuracy('Accuracy of the linear readout, between 0 and 1.'),
  accuracyUntrained: accuracy('The same with the weights that training began with.'),
});
export type ModuleRow = z.infer<typeof moduleRowSchema>;

export const runStatusSchema = z
  .strictObject({
    phase: phaseSchema.optional(),
    message: z.string().max(32_768).optional().describe('Why it waits, or what ended it.'),
    ready: z.string().max(32).optional().describe('Ready trainers of those wanted, such as 2/3.'),
    percent: percent.describe('Part of the budget that the slowest module has spent.'),
    etaSeconds: count('Seconds until the slowest module has spent its budget.'),
    eta: z.string().max(16).optional().describe('The same for people, such as 2d11h.'),
    restarts: count('Restarts of all modules.'),
    lastFailure: failureSchema
      .extend({ module: z.string().max(40).describe('Name of the module.') })
      .optional()
      .describe('Newest failure of a trainer of any module.'),
    lastReportTime: time().optional().describe('Time of the newest report of a trainer.'),
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
    startTime: time().optional().describe('Time the trainers were last started or resumed.'),
    completionTime: time().optional().describe('Time the run ended.'),
    observedGeneration: z
      .int()
      .min(-1)
      .optional()
      .describe('Generation of the run that this status is about; -1: of none yet.'),
  })
  .describe('State of the run.')
  // kstatus takes an object without observedGeneration for ready.
  .meta({ default: { observedGeneration: -1 } });
export type RunStatus = z.infer<typeof runStatusSchema>;
