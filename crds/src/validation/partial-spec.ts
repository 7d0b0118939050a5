import type { z } from 'zod';
import { type Layer, layerSchema } from '../network/layers.ts';
import {
  LAYERS_MAX,
  MODULES_MAX,
  type Module,
  moduleSchema,
  type Objective,
  type RunSpec,
  runSpecSchema,
} from '../v1alpha1/run.ts';
import { isObject } from './path.ts';

/**
 * The parts of a spec that are right by themselves, so that rules between fields can be checked while
 * other parts are still wrong. Missing: wrong or not there. Modules and layers beyond the maximum are left out.
 */
export interface Draft extends Partial<Omit<RunSpec, 'modules'>> {
  modules: DraftModule[];
  /** Fields that the spec has, right or wrong. */
  own: string[];
}

export interface DraftModule {
  name?: string;
  layers: (Layer | undefined)[];
  /** The module's own or the run's; undefined if that is wrong. */
  objective?: Objective;
  batchSize?: number;
  podTemplate?: Module['podTemplate'];
  /** Fields that the module gives itself. */
  own: (keyof Module)[];
}

export function draftOf(spec: unknown): Draft {
  const { modules: _, ...fields } = runSpecSchema.shape;
  const draft = soundFields(fields, spec) as Partial<Omit<RunSpec, 'modules'>>;
  const modules =
    isObject(spec) && Array.isArray(spec.modules) ? spec.modules.slice(0, MODULES_MAX) : [];
  return {
    ...draft,
    modules: modules.map((module) => draftModule(module, draft)),
    own: isObject(spec) ? Object.keys(spec) : [],
  };
}

function draftModule(module: unknown, run: Partial<RunSpec>): DraftModule {
  const { layers: _, ...fields } = moduleSchema.shape;
  const sound = soundFields(fields, module) as Partial<Module>;
  const own = isObject(module) ? (Object.keys(module) as (keyof Module)[]) : [];
  const layers =
    isObject(module) && Array.isArray(module.layers) ? module.layers.slice(0, LAYERS_MAX) : [];
  return {
    name: sound.name,
    layers: layers.map((layer) => layerSchema.safeParse(layer).data),
    objective: own.includes('objective') ? sound.objective : run.objective,
    batchSize: own.includes('batchSize') ? sound.batchSize : run.batchSize,
    podTemplate: sound.podTemplate,
    own,
  };
}

const soundFields = (shape: Record<string, z.ZodType>, value: unknown): Record<string, unknown> =>
  isObject(value)
    ? Object.fromEntries(
        Object.entries(shape).map(([key, schema]) => [key, schema.safeParse(value[key]).data]),
      )
    : {};
