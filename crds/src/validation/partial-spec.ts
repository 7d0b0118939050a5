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
 * The valid fields of a spec, so that rules between fields can be checked although other fields are invalid.
 * An invalid or missing field is undefined. Modules and layers beyond the maximum are left out.
 */
export interface PartialSpec extends Partial<Omit<RunSpec, 'modules'>> {
  modules: PartialModule[];
  /** Names of all fields of the spec, valid or not. */
  own: string[];
}

export interface PartialModule {
  name?: string;
  layers: (Layer | undefined)[];
  /** Objective of the module, or else of the run; undefined if it is invalid. */
  objective?: Objective;
  batchSize?: number;
  podTemplate?: Module['podTemplate'];
  /** Names of all fields of the module, valid or not. */
  own: (keyof Module)[];
}

/** Returns the valid fields of `spec`, a parsed but not validated value. */
export function partialSpec(spec: unknown): PartialSpec {
  const { modules: _, ...fields } = runSpecSchema.shape;
  const valid = validFields(fields, spec) as Partial<Omit<RunSpec, 'modules'>>;
  const modules =
    isObject(spec) && Array.isArray(spec.modules) ? spec.modules.slice(0, MODULES_MAX) : [];
  return {
    ...valid,
    modules: modules.map((module) => partialModule(module, valid)),
    own: isObject(spec) ? Object.keys(spec) : [],
  };
}

function partialModule(module: unknown, run: Partial<RunSpec>): PartialModule {
  const { layers: _, ...fields } = moduleSchema.shape;
  const valid = validFields(fields, module) as Partial<Module>;
  const own = isObject(module) ? (Object.keys(module) as (keyof Module)[]) : [];
  const layers =
    isObject(module) && Array.isArray(module.layers) ? module.layers.slice(0, LAYERS_MAX) : [];
  return {
    name: valid.name,
    layers: layers.map((layer) => layerSchema.safeParse(layer).data),
    objective: own.includes('objective') ? valid.objective : run.objective,
    batchSize: own.includes('batchSize') ? valid.batchSize : run.batchSize,
    podTemplate: valid.podTemplate,
    own,
  };
}

const validFields = (shape: Record<string, z.ZodType>, value: unknown): Record<string, unknown> =>
  isObject(value)
    ? Object.fromEntries(
        Object.entries(shape).map(([key, schema]) => [key, schema.safeParse(value[key]).data]),
      )
    : {};
