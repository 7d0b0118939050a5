import { z } from 'zod';
import { layerSchema } from '../network/layers.ts';
import { immutable, validated } from './cel.ts';
import { objectiveSchema } from './objective.ts';
import { optimizerSchema } from './optimizer.ts';
import { modulePodTemplateSchema, resourcesSchema } from './pod.ts';

export const moduleNameSchema = z
  .string()
  .max(40)
  .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);

/** Maximum number of layers of a module. */
export const LAYERS_MAX = 64;

export const moduleSchema = z
  .strictObject({
    name: moduleNameSchema.describe('Name of the module: a DNS label, unique in the run.'),
    layers: z
      .array(layerSchema)
      .min(1)
      .max(LAYERS_MAX)
      .describe('The layers, from input to output. Immutable.')
      .meta(immutable('layers')),
    objective: objectiveSchema
      .optional()
      .describe('What this module optimises, in place of spec.objective. Immutable.'),
    optimizer: optimizerSchema
      .optional()
      .describe('The optimizer of this module, in place of spec.optimizer.'),
    batchSize: z
      .int()
      .min(1)
      .max(65_536)
      .optional()
      .describe('Samples that each step of this module takes, in place of spec.batchSize.'),
    replicas: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'Trainers of the module, which share its samples and average their weights. Default: 1, or on Kubernetes what GreedyInfoMaxModule says.',
      ),
    resources: resourcesSchema
      .optional()
      .describe('Resources of each trainer of this module, in place of spec.resources.'),
    podTemplate: modulePodTemplateSchema.optional(),
  })
  .describe('One gradient-isolated part of the encoder.')
  .meta(
    validated({
      rule: 'has(self.objective) == has(oldSelf.objective)',
      message: 'objective cannot change; make a new run',
    }),
  );
export type Module = z.infer<typeof moduleSchema>;
