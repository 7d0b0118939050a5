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
    name: moduleNameSchema.describe('Name of the module, unique in the run.'),
    layers: z
      .array(layerSchema)
      .min(1)
      .max(LAYERS_MAX)
      .describe('Layers of the module, from input to output.')
      .meta(immutable('layers')),
    objective: objectiveSchema
      .optional()
      .describe('Objective of this module. Defaults to spec.objective.'),
    optimizer: optimizerSchema
      .optional()
      .describe('Optimizer of this module. Defaults to spec.optimizer.'),
    batchSize: z
      .int()
      .min(1)
      .max(65_536)
      .optional()
      .describe(
        'Number of samples per optimizer step of each trainer of this module. Defaults to spec.batchSize.',
      ),
    replicas: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'Number of trainers of this module. They share its samples and average their weights. Defaults to spec.replicas of its GreedyInfoMaxModule, so that autoscalers can change it, and to 1 outside Kubernetes.',
      ),
    resources: resourcesSchema
      .optional()
      .describe(
        'CPU, memory and devices of each trainer of this module. Defaults to spec.resources.',
      ),
    podTemplate: modulePodTemplateSchema.optional(),
  })
  .describe('A gradient-isolated module of the encoder. Gradients never leave it.')
  .meta(
    validated({
      rule: 'has(self.objective) == has(oldSelf.objective)',
      message: 'objective cannot change; make a new run',
    }),
  );
export type Module = z.infer<typeof moduleSchema>;
