import { type Layer, outputShape, type PatchShape, ShapeError } from '../../network/layers.ts';
import { domainOf, type Samples, samplesOf } from '../../network/sample-shape.ts';
import {
  infoNCESettings,
  OBJECTIVE_FIELDS,
  type Objective,
  predictionReach,
} from '../../v1alpha1/run.ts';
import type { PartialSpec } from '../partial-spec.ts';
import type { Path, ValidationError } from '../path.ts';

export function objectiveErrors(spec: PartialSpec): ValidationError[] {
  const placed: { path: Path; objective: Objective | undefined }[] = [
    { path: ['spec', 'objective'], objective: spec.objective },
    ...spec.modules.flatMap(({ objective, own }, i) =>
      own.includes('objective') ? [{ path: ['spec', 'modules', i, 'objective'], objective }] : [],
    ),
  ];
  return [
    ...placed.flatMap(({ path, objective }) =>
      objective
        ? [
            ...fieldErrors(path, objective),
            ...classesErrors(path, objective),
            ...contextErrors(spec, path, objective),
          ]
        : [],
    ),
    ...reachErrors(spec),
    ...batchErrors(spec),
  ];
}

function fieldErrors(path: Path, objective: Objective): ValidationError[] {
  const fields: readonly string[] = OBJECTIVE_FIELDS[objective.type];
  return Object.keys(objective)
    .filter((field) => field !== 'type' && !fields.includes(field))
    .map((field) => ({
      path: [...path, field],
      message: `the objective ${objective.type} has no ${field}; it takes ${fields.join(', ')}`,
    }));
}

const classesErrors = (path: Path, { type, classes }: Objective): ValidationError[] =>
  (type === 'classLabels' || type === 'predSim') && classes === undefined
    ? [
        {
          path: [...path, 'classes'],
          message: `is missing; ${type} needs the number of classes of the data set`,
        },
      ]
    : [];

const contextErrors = (
  { data }: PartialSpec,
  path: Path,
  { context }: Objective,
): ValidationError[] =>
  data && domainOf(data) === 'speech' && context === 'pixelCNN'
    ? [
        {
          path: [...path, 'context'],
          message: `${context} is only for images; for speech, a gru layer at the end of the module computes the context`,
        },
      ]
    : [];

/** Checks the batch size for deepInfoMax, whose negatives are patches of the other samples of the batch. */
const batchErrors = ({ modules }: PartialSpec): ValidationError[] =>
  modules.flatMap(({ name, objective, batchSize, own }, i) =>
    objective?.type === 'deepInfoMax' && batchSize === 1
      ? [
          {
            path: ['spec', ...(own.includes('batchSize') ? ['modules', i] : []), 'batchSize'],
            message: `1 must be at least 2: deepInfoMax in module ${name ?? i} takes negatives from the other samples of the batch`,
          },
        ]
      : [],
  );

/** Checks that each module has enough rows for its objective. Images have the same rows in all modules, speech fewer and fewer. */
function reachErrors(spec: PartialSpec): ValidationError[] {
  const samples = samplesOf(spec);
  // Without a row, the patches already have an error.
  if (!samples || (samples.grid && samples.grid[0] < 1)) return [];
  const domain = domainOf(samples.source.data);
  const outputs = outputShapes(spec, samples);
  const found = spec.modules.flatMap(({ objective, own }, i) => {
    const rows = samples.grid ? samples.grid[0] : outputs[i]?.[0];
    if (objective?.type !== 'infoNCE' || rows === undefined) return [];
    const { subsample = rows } = infoNCESettings(objective, domain);
    const { predictionSteps, skip } = predictionReach(objective, domain);
    const needed = predictionSteps + skip + 1;
    const available = Math.min(rows, subsample);
    if (available >= needed) return [];
    const path = own.includes('objective') ? ['spec', 'modules', i, 'objective'] : OBJECTIVE;
    const reach = `predictionSteps ${predictionSteps} and skip ${skip} need`;
    return [
      {
        path,
        message: samples.grid
          ? `${reach} a grid of at least ${needed} rows; ${gridText(spec)} has ${rows}. Predict fewer steps, use a larger crop, or smaller or denser patches`
          : `${reach} at least ${needed} steps; after module ${spec.modules[i]?.name ?? i} a window has ${rows}${subsample < rows ? `, and subsample takes ${subsample} of them` : ''}. Predict fewer steps or use a longer window`,
      },
    ];
  });
  // Report the objective of the run once, not for each module.
  return found.filter(
    ({ path }, i) =>
      path !== OBJECTIVE || found.findIndex((other) => other.path === OBJECTIVE) === i,
  );
}

const OBJECTIVE: Path = ['spec', 'objective'];

const gridText = ({ augmentation, patches }: PartialSpec): string =>
  `crop ${augmentation?.crop} with patches of ${patches?.size} every ${patches?.stride} pixels`;

/** Returns the output shape of each module; undefined from the first invalid layer on. */
function outputShapes({ modules }: PartialSpec, samples: Samples): (PatchShape | undefined)[] {
  let shape: PatchShape | undefined = samples.shape;
  return modules.map(({ layers }) => {
    const sound = layers.filter((layer) => layer !== undefined);
    shape = shape && sound.length === layers.length ? outputOf(sound, shape) : undefined;
    return shape;
  });
}

function outputOf(layers: readonly Layer[], shape: PatchShape): PatchShape | undefined {
  try {
    return outputShape(layers, shape);
  } catch (error) {
    if (error instanceof ShapeError) return undefined; // reported as an error of the layer
    throw error;
  }
}
