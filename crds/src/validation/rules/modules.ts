import {
  type Applied,
  LAYERS,
  type Layer,
  type PatchShape,
  ShapeError,
  unknownFields,
} from '../../network/layers.ts';
import { samplesOf } from '../../network/sample-shape.ts';
import type { PartialModule, PartialSpec } from '../partial-spec.ts';
import { show, type ValidationError } from '../path.ts';

export const moduleErrors = (spec: PartialSpec): ValidationError[] => [
  ...nameErrors(spec.modules),
  ...fieldErrors(spec.modules),
  ...orderErrors(spec.modules),
  ...shapeErrors(spec),
];

const nameErrors = (modules: readonly PartialModule[]): ValidationError[] =>
  modules.flatMap(({ name }, i) => {
    const first = modules.findIndex((other) => other.name === name);
    return name === undefined || first === i
      ? []
      : [
          {
            path: ['spec', 'modules', i, 'name'],
            message: `${show(name)} is already the name of modules[${first}]; names must be unique in a run`,
          },
        ];
  });

const fieldErrors = (modules: readonly PartialModule[]): ValidationError[] =>
  modules.flatMap(({ layers }, i) =>
    layers.flatMap((layer, j) =>
      layer
        ? unknownFields(layer).map((field) => ({
            path: ['spec', 'modules', i, 'layers', j, field],
            message: `a ${layer.type} layer has no ${field}; it takes ${['channels', ...LAYERS[layer.type].fields].join(', ')}`,
          }))
        : [],
    ),
  );

/** Checks that a gru layer is the last of its module, because InfoNCE predicts the input of that layer. */
const orderErrors = (modules: readonly PartialModule[]): ValidationError[] =>
  modules.flatMap(({ layers }, i) =>
    layers.flatMap((layer, j) =>
      layer?.type === 'gru' && j < layers.length - 1
        ? [
            {
              path: ['spec', 'modules', i, 'layers', j],
              message: 'a gru layer must be the last of its module; start a new module after it',
            },
          ]
        : [],
    ),
  );

/** Computes the shapes of a patch through all modules, up to the first invalid layer. */
function shapeErrors(spec: PartialSpec): ValidationError[] {
  const { modules } = spec;
  const samples = samplesOf(spec);
  if (!samples) return [];
  let { shape } = samples;
  let from = 'the data set';
  for (const [i, { name, layers }] of modules.entries()) {
    const input = shape;
    let parameters = 0;
    if (layers.length === 0) return [];
    for (const [j, layer] of layers.entries()) {
      if (!layer) return [];
      const next = applied(layer, shape);
      if (next instanceof ShapeError) {
        const message = `module ${name ?? i} gets ${samples.grid ? 'patches' : 'windows'} of [${input.join(', ')}] (rows, columns, channels) from ${from}, and this ${layer.type} layer gets [${shape.join(', ')}]: ${next.message}`;
        return [{ path: ['spec', 'modules', i, 'layers', j], message }];
      }
      shape = next.output;
      parameters += next.cost.parameters;
    }
    if (parameters > PARAMETERS_MAX) {
      const message = `have ${parameters} parameters, but a module can have at most ${PARAMETERS_MAX}; use fewer channels or smaller kernels`;
      return [{ path: ['spec', 'modules', i, 'layers'], message }];
    }
    from = `module ${name ?? i}`;
  }
  return [];
}

/** Maximum parameters of a module. TensorFlow counts the values of a tensor in 32 bits, and all weights form one. */
const PARAMETERS_MAX = 2 ** 31 - 1;

function applied(layer: Layer, shape: PatchShape): Applied | ShapeError {
  try {
    return LAYERS[layer.type].apply(layer, shape);
  } catch (error) {
    if (error instanceof ShapeError) return error;
    throw error;
  }
}
