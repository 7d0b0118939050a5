import {
  LAYERS,
  type Layer,
  type LayerType,
  layersCost,
  type Objective,
  objectiveParameters,
  type PatchShape,
} from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { OBJECTIVES } from '../objective/registry.ts';
import { size } from '../step/function.ts';
import { tf } from '../tf.ts';
import { encode, encoderParameters } from './encoder.ts';
import { initialWeights } from './initialise.ts';

/** Compares the formulas of `gim plan` with the tensors that are trained. */

const INPUT: PatchShape = [16, 16, 6];
/** Input of a gru layer. */
const SEQUENCE: PatchShape = [16, 1, 6];
const inputOf = ({ type }: Layer): PatchShape => (type === 'gru' ? SEQUENCE : INPUT);

/** Every layer with its defaults, and with every field that changes its shape. */
const SAMPLES: Record<LayerType, readonly Layer[]> = {
  conv: [
    { type: 'conv', channels: 5 },
    { type: 'conv', channels: 5, kernel: 5, stride: 2, padding: 0 },
  ],
  residual: [
    { type: 'residual', channels: 6 },
    { type: 'residual', channels: 8, stride: 2, repeat: 3 },
  ],
  bottleneck: [
    { type: 'bottleneck', channels: 3 },
    { type: 'bottleneck', channels: 4, stride: 2, repeat: 2 },
  ],
  conv1d: [
    { type: 'conv1d', channels: 5 },
    { type: 'conv1d', channels: 5, kernel: 10, stride: 5, padding: 2 },
  ],
  gru: [
    { type: 'gru', channels: 5 },
    { type: 'gru', channels: 5, bptt: false },
  ],
};

const counted = (parameters: readonly { shape: readonly number[] }[]): number =>
  parameters.reduce((sum, { shape }) => sum + size(shape), 0);

const layers = Object.values(SAMPLES).flat();

describe('the planned cost of layers', () => {
  it.each(layers)('$type $channels has the parameters that the trainer makes', (layer) => {
    const input = inputOf(layer);
    expect(layersCost([layer], input).parameters).toBe(counted(encoderParameters([layer], input)));
  });

  it.each(layers)('$type $channels has the shape that the trainer computes', (layer) => {
    const input = inputOf(layer);
    const parameters = encoderParameters([layer], input);
    const weights = Object.fromEntries(
      Object.entries(initialWeights(parameters, 1)).map(([name, { shape, values }]) => [
        name,
        tf.tensor(values, [...shape]),
      ]),
    );
    const z = encode([layer], weights, tf.zeros([1, ...input]));
    expect(z.shape).toEqual([1, ...LAYERS[layer.type].apply(layer, input).output]);
  });
});

const OBJECTIVE_SAMPLES: Record<Objective['type'], readonly Objective[]> = {
  infoNCE: [
    { type: 'infoNCE' },
    { type: 'infoNCE', predictionSteps: 2, skip: 0 },
    { type: 'infoNCE', context: 'pixelCNN' },
  ],
  classLabels: [{ type: 'classLabels', classes: 7 }],
  predSim: [{ type: 'predSim', classes: 7 }],
  deepInfoMax: [{ type: 'deepInfoMax' }, { type: 'deepInfoMax', units: 5 }],
};

it.each(Object.values(OBJECTIVE_SAMPLES).flat())(
  'the objective $type has the parameters that the trainer makes',
  (objective) => {
    const made = OBJECTIVES[objective.type].parameters(objective, 12, 10);
    expect(objectiveParameters(objective, 12, 10)).toBe(counted(made));
  },
);
