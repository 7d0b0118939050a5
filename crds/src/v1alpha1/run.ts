import { z } from 'zod';
import { API_GROUP, API_VERSION } from '../protocol/names.ts';
import { validated } from './cel.ts';
import { runSpecSchema } from './spec.ts';
import { runStatusSchema } from './status.ts';

/** The `GreedyInfoMaxRun` resource: the source of its types, its CRD and its documentation. */

export * from './averaging.ts';
export * from './buffers.ts';
export * from './checkpoints.ts';
export * from './data.ts';
export * from './evaluation.ts';
export * from './module.ts';
export * from './objective.ts';
export * from './optimizer.ts';
export * from './pod.ts';
export * from './spec.ts';
export * from './status.ts';

/** Maximum length of a run's name, which is a part of the names of streams, Jobs and pods. */
export const RUN_NAME_MAX = 40;

export const metadataSchema = z.looseObject({
  name: z
    .string()
    .max(RUN_NAME_MAX)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
    .describe('Name of the run. Must be a DNS label.'),
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
    spec: runSpecSchema
      .describe(
        'Desired state of the run. While it trains, all fields may change except those described as immutable. The operator stops the trainers that a change affects and restarts them from their newest checkpoints.',
      )
      .meta(
        validated({
          rule: 'has(self.managedBy) == has(oldSelf.managedBy) && (!has(self.managedBy) || self.managedBy == oldSelf.managedBy)',
          message: 'managedBy cannot change; make a new run',
        }),
      ),
    status: runStatusSchema.optional(),
  })
  .describe(
    'GreedyInfoMaxRun trains a deep network as gradient-isolated modules: each has its own objective, optimizer and pods, and receives only activations from the previous module.',
  );
export type Run = z.infer<typeof runSchema>;
