import { z } from 'zod';
import { API_GROUP, API_VERSION } from './names.ts';
import { validated } from './run/cel.ts';
import { runSpecSchema } from './run/spec.ts';
import { runStatusSchema } from './run/status.ts';

/** The `GreedyInfoMaxRun` resource: the one source of its types, its CRD and its documentation. */

export * from './run/averaging.ts';
export * from './run/buffers.ts';
export * from './run/checkpoints.ts';
export * from './run/data.ts';
export * from './run/evaluation.ts';
export * from './run/module.ts';
export * from './run/objective.ts';
export * from './run/optimizer.ts';
export * from './run/pod.ts';
export * from './run/spec.ts';
export * from './run/status.ts';

/** Longest name of a run: names of streams, jobs and pods are built from it. */
export const RUN_NAME_MAX = 40;

export const metadataSchema = z.looseObject({
  name: z
    .string()
    .max(RUN_NAME_MAX)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .describe('A DNS label.'),
  namespace: z.string().max(63).optional(),
  uid: z.string().max(64).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

export const runSchema = z
  .strictObject({
    apiVersion: z.literal(`${API_GROUP}/${API_VERSION}`),
    kind: z.literal('GreedyInfoMaxRun'),
    metadata: metadataSchema,
    spec: runSpecSchema.describe('What to train, and how.').meta(
      validated({
        rule: 'has(self.managedBy) == has(oldSelf.managedBy) && (!has(self.managedBy) || self.managedBy == oldSelf.managedBy)',
        message: 'managedBy cannot change; make a new run',
      }),
    ),
    status: runStatusSchema.optional(),
  })
  .describe('Trains a deep network whose modules never exchange gradients.');
export type Run = z.infer<typeof runSchema>;
