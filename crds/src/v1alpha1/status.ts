import { z } from 'zod';
import { listMap } from './cel.ts';
import { describeValues } from './describe.ts';

/** Status of runs and modules, as the operator writes it. */

const time = () => z.string().max(64).meta({ format: 'date-time' });

export const conditionSchema = z.strictObject({
  type: z.string().max(316).describe('Type of the condition.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Status of the condition.'),
  reason: z.string().max(1024).describe('Reason of the last transition, as one CamelCase word.'),
  message: z.string().max(32_768).describe('Human-readable details of the last transition.'),
  lastTransitionTime: time().describe('Time of the last transition from one status to another.'),
  observedGeneration: z
    .int()
    .min(0)
    .optional()
    .describe('Generation of the object that the condition was set for.'),
});
export type Condition = z.infer<typeof conditionSchema>;

export const conditionsSchema = z
  .array(conditionSchema)
  .max(32)
  .optional()
  .describe(
    [
      'Conditions of the object. Types:',
      '- Ready: all wanted trainers are ready, or training is complete.',
      '- Progressing: training proceeds. If False, the reason is the cause.',
      '- Degraded: a trainer fails, cannot start or is lost with its node.',
      '- Stalled: manual action is needed, because the run has failed or its changed spec is invalid.',
      '- Suspended: all trainers have ended. Present once a run was suspended.',
      '- Evaluated: the status has the accuracy of every module. Present if an evaluation is requested.',
      '- NATSReachable: the operator is connected to NATS. Present once the connection was lost.',
      '- Complete, Failed: how the run ended.',
    ].join('\n'),
  )
  .meta(listMap('type'));

export const failureSchema = z.strictObject({
  reason: z
    .string()
    .max(1024)
    .describe('Reason of the failure, such as OOMKilled, Evicted or NoEvidence.'),
  message: z.string().max(1024).describe('Error message of the trainer, or else of the kubelet.'),
  exitCode: z
    .int()
    .min(-(2 ** 31))
    .optional()
    .describe("Exit code of the trainer's container."),
  time: time().describe('Time the pod failed.'),
  pod: z.string().max(253).optional().describe('Name of the pod.'),
  node: z.string().max(253).optional().describe('Name of the node.'),
});
export type Failure = z.infer<typeof failureSchema>;

const lastFailure = () =>
  failureSchema
    .optional()
    .describe('Most recent failure of a trainer. Remains after the trainer has restarted.');

const percentiles = (what: string) =>
  z
    .strictObject({
      p50: z.number().describe('Median.'),
      p95: z.number().describe('95th percentile.'),
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
    describeValues('Phase of the run or of the module.', {
      Pending: 'At least one trainer is not running. The message has the reason.',
      Starting: 'All trainers are running, but not all have finished a step.',
      Training: 'All trainers train.',
      Forwarding: 'The budget is spent; later modules still need the output.',
      Evaluating: 'All modules are trained and are being evaluated.',
      Suspending: 'Trainers write checkpoints and end.',
      Suspended: 'No trainer is left.',
      Stopped: 'The run failed because of another module.',
      Complete: 'Training and evaluation have ended successfully.',
      Failed: 'Training has ended with a failure.',
    }),
  );
export type Phase = z.infer<typeof phaseSchema>;

const percent = z.int().min(0).max(100).optional();

/** Metrics of a module, merged from the reports of its trainers. */
export const figuresSchema = z.strictObject({
  step: count('Number of optimizer steps done; of several trainers the largest.'),
  samples: count('Number of samples trained on, summed over all trainers.'),
  percent: percent.describe('Percentage of the budget that is spent.'),
  etaSeconds: count('Estimated seconds until the budget is spent.'),
  loss: z.number().optional().describe('Mean loss over at most the last 100 steps.'),
  samplesPerSecond: z
    .number()
    .optional()
    .describe('Number of samples trained on per second, over the last seconds.'),
  stalenessSteps: percentiles(
    'Staleness of the samples used, in optimizer steps of the previous module since it computed them.',
  ),
  stalenessSeconds: percentiles(
    'Staleness of the samples used, in seconds since the previous module computed them.',
  ),
  samplesDropped: count(
    'Number of samples that reached or should have reached the module and were never used.',
  ),
  samplesReused: count('Number of times that a sample was used again after its first use.'),
  checkpointStep: count('Step of the most recent checkpoint.'),
});
export type Figures = z.infer<typeof figuresSchema>;

export const moduleStatusSchema = z
  .strictObject({
    replicas: count('Number of trainers that exist.'),
    readyReplicas: count('Number of trainers that are ready.'),
    selector: z
      .string()
      .max(1024)
      .optional()
      .describe('Label selector of the pods, for autoscalers.'),
    phase: phaseSchema.optional(),
    restarts: count(
      'Number of restarts after failures. Evictions, preemptions and drains do not count.',
    ),
    lastFailure: lastFailure(),
    ...figuresSchema.shape,
    conditions: conditionsSchema,
    observedGeneration: count('Generation of the module that the operator observed last.'),
  })
  .describe('Observed state of the module. Written by the operator.');
export type ModuleStatus = z.infer<typeof moduleStatusSchema>;

const accuracy = (what: string) => z.number().min(0).max(1).optional().describe(what);

export const moduleRowSchema = z.strictObject({
  name: z.string().max(40).describe('Name of the module.'),
  phase: phaseSchema,
  reason: z
    .string()
    .max(1024)
    .optional()
    .describe('Reason that the module does not train, as one CamelCase word.'),
  message: z
    .string()
    .max(32_768)
    .optional()
    .describe('Human-readable reason that the module does not train, and a remedy.'),
  replicas: z
    .int()
    .min(0)
    .describe('Desired number of trainers. 0 when the module is complete or waits for its turn.'),
  readyReplicas: z.int().min(0).describe('Number of trainers that are ready.'),
  restarts: count(
    'Number of restarts after failures. Evictions, preemptions and drains do not count.',
  ),
  lastFailure: lastFailure(),
  ...figuresSchema.shape,
  accuracy: accuracy('Accuracy of the linear probe, from 0 to 1. For speech, of the speaker.'),
  accuracyUntrained: accuracy(
    'Accuracy of the same probe on the untrained module, with its initial weights.',
  ),
});
export type ModuleRow = z.infer<typeof moduleRowSchema>;

export const runStatusSchema = z
  .strictObject({
    phase: phaseSchema.optional(),
    message: z
      .string()
      .max(32_768)
      .optional()
      .describe('Human-readable reason that the run waits or has ended.'),
    ready: z
      .string()
      .max(32)
      .optional()
      .describe('Number of ready trainers and of desired trainers, such as 2/3.'),
    percent: percent.describe('Percentage of the budget that the slowest module has spent.'),
    etaSeconds: count('Estimated seconds until the slowest module has spent its budget.'),
    eta: z
      .string()
      .max(16)
      .optional()
      .describe('Estimated time until the slowest module has spent its budget, such as 2d11h.'),
    restarts: count('Number of restarts after failures, summed over all modules.'),
    lastFailure: failureSchema
      .extend({ module: z.string().max(40).describe('Name of the module.') })
      .optional()
      .describe(
        'Most recent failure of a trainer of any module. Remains after the trainer has restarted.',
      ),
    lastReportTime: time().optional().describe('Time of the most recent report of a trainer.'),
    conditions: conditionsSchema,
    modules: z
      .array(moduleRowSchema)
      .max(64)
      .optional()
      .describe('State of each module, in the order of spec.modules.')
      .meta(listMap('name')),
    evaluatedSamples: count(
      'Number of samples of the slowest module at the most recent evaluation that has ended.',
    ),
    startTime: time().optional().describe('Time the trainers were last started or resumed.'),
    completionTime: time().optional().describe('Time the run ended.'),
    observedGeneration: z
      .int()
      .min(-1)
      .optional()
      .describe('Generation of the run that the operator observed last, or -1 if none.'),
  })
  .describe('Observed state of the run. Written by the operator.')
  // kstatus considers an object without observedGeneration ready.
  .meta({ default: { observedGeneration: -1 } });
export type RunStatus = z.infer<typeof runStatusSchema>;
