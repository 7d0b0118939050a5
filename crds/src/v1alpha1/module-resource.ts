import { z } from 'zod';
import { API_GROUP, API_VERSION } from '../protocol/names.ts';
import { immutable } from './cel.ts';
import { metadataSchema, moduleStatusSchema, RUN_NAME_MAX } from './run.ts';

/** The `GreedyInfoMaxModule` resource. The operator creates one for each module, which makes modules scalable. */

export const moduleResourceSchema = z
  .strictObject({
    apiVersion: z.literal(`${API_GROUP}/${API_VERSION}`),
    kind: z.literal('GreedyInfoMaxModule'),
    metadata: metadataSchema.extend({ name: z.string().max(253) }),
    spec: z
      .strictObject({
        runName: z
          .string()
          .min(1)
          .max(RUN_NAME_MAX)
          .describe('Name of the GreedyInfoMaxRun that the module belongs to.')
          .meta(immutable('runName')),
        index: z
          .int()
          .min(0)
          .max(63)
          .describe('Index of the module in spec.modules of the run, from 0.')
          .meta(immutable('index')),
        replicas: z
          .int()
          .min(0)
          .max(1000)
          .default(1)
          .describe(
            'Desired number of trainers. May change, also through the scale subresource, unless the run sets replicas for the module: then the operator restores that number.',
          ),
      })
      .describe('Identity of the module and its desired number of trainers.'),
    status: moduleStatusSchema.optional(),
  })
  .describe(
    'GreedyInfoMaxModule is one module of a GreedyInfoMaxRun. The operator creates and owns it; users and autoscalers may change only spec.replicas.',
  );
export type ModuleResource = z.infer<typeof moduleResourceSchema>;
