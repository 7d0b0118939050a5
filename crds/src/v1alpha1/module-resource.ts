import { z } from 'zod';
import { API_GROUP, API_VERSION } from '../protocol/names.ts';
import { immutable } from './cel.ts';
import { metadataSchema, moduleStatusSchema, RUN_NAME_MAX } from './run.ts';

/** The `GreedyInfoMaxModule` resource: one a module, made by the operator, so that modules can be scaled. */

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
          .describe('The run that the module belongs to. Immutable.')
          .meta(immutable('runName')),
        index: z
          .int()
          .min(0)
          .max(63)
          .describe('Its place in the order of modules, from 0. Immutable.')
          .meta(immutable('index')),
        replicas: z.int().min(0).max(1000).default(1).describe('Trainers that there should be.'),
      })
      .describe('Which module it is, and how many trainers it should have.'),
    status: moduleStatusSchema.optional(),
  })
  .describe('One module of a GreedyInfoMaxRun. Made by the operator; only replicas is for others.');
export type ModuleResource = z.infer<typeof moduleResourceSchema>;
