import type { InfoNCE, Layer } from '@greedy-infomax/crds';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeAndRepresent } from '../../trainer/src/model/encoder.ts';
import { OBJECTIVES } from '../../trainer/src/objective/registry.ts';
import type { StepFunction, TensorSpec } from '../../trainer/src/step/function.ts';
import { Program } from '../../trainer/src/step/program.ts';
import type { Tensor, Values } from '../../trainer/src/tf.ts';
import { ADAM, difference, gradientsOf, parametersOf, readFixture, TOLERANCE } from './fixture.ts';

/**
 * Compares the compiled step on speech with values that `make_speech_fixtures.py` computed with
 * PyTorch in float64.
 */

const fixture = readFixture('speech.safetensors');

const CONV: Layer = {
  type: 'conv1d',
  channels: 6,
  kernel: 4,
  stride: 2,
  padding: 1,
  activation: 'relu',
};
const GRU: Layer = { type: 'gru', channels: 5 };

const MODULES: { name: string; prefix: string; input: string; layers: Layer[] }[] = [
  { name: 'a convolution over time', prefix: 'conv.', input: 'x', layers: [CONV] },
  { name: 'gated recurrent units', prefix: 'gru.', input: 'encoded', layers: [GRU] },
  {
    name: 'gated recurrent units that do not propagate through time',
    prefix: 'cells.',
    input: 'encoded',
    layers: [{ ...GRU, bptt: false }],
  },
  {
    name: 'a convolution and gated recurrent units in one module',
    prefix: 'cpc.',
    input: 'x',
    layers: [CONV, GRU],
  },
];
const SAMPLING: Exclude<InfoNCE['sampling'], 'targets'>[] = ['shared', 'others', 'sequence'];

const programs: { dispose(): void }[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.dispose();
});

/** One step of InfoNCE on the fixture's input and draws. */
function compile(prefix: string, input: string, layers: Layer[], sampling: InfoNCE['sampling']) {
  const inputs: Record<string, TensorSpec> = {};
  const feeds: Record<string, Values> = {};
  const feed = (name: string, tensor: string, dtype: TensorSpec['dtype']) => {
    const { shape, values } = fixture.get(tensor);
    inputs[name] = { shape, dtype };
    feeds[name] = values;
  };
  feed('x', input, 'float32');
  const draw = `${prefix}draw.`;
  for (const name of fixture.names.filter((each) => each.startsWith(draw))) {
    feed(name.slice(draw.length), name, 'int32');
  }
  const build: StepFunction['build'] = (fed, weights) => {
    const { z, representation } = encodeAndRepresent(layers, weights, fed.x as Tensor, null);
    const loss = OBJECTIVES.infoNCE.loss(
      {
        type: 'infoNCE',
        predictionSteps: 3,
        skip: 0,
        negatives: 4,
        subsample: 11,
        predictOn: 'context',
        sampling,
      },
      weights,
      representation,
      {
        labels: fed.none as Tensor,
        draws: {
          ints: (stream) => fed[stream === 0 ? 'start' : `others.k${stream}`] as Tensor,
          distinct: () => fed[sampling] as Tensor,
        },
      },
    );
    return { loss, z };
  };
  const program = Program.compile({
    weights: parametersOf(fixture, `${prefix}param.`),
    optimizer: ADAM,
    functions: { train: { inputs, build, minimise: 'loss' } },
  });
  programs.push(program);
  const { z, loss } = program.run('train', feeds);
  return { program, z, loss };
}

describe.each(MODULES)('a compiled module agrees with PyTorch: $name', (module) => {
  const { prefix, input, layers } = module;

  it.each(SAMPLING)('in output, loss and gradients, negatives %s', (sampling) => {
    const { program, z, loss } = compile(prefix, input, layers, sampling);
    expect(difference(z, fixture.get(`${prefix}output`).values)).toBeLessThan(TOLERANCE);
    const expected = fixture.get(`${prefix}${sampling}.loss`).values;
    expect(difference(loss, expected)).toBeLessThan(TOLERANCE);
    const grad = `${prefix}${sampling}.grad.`;
    const names = fixture.names.filter((name) => name.startsWith(grad));
    const gradients = gradientsOf(program);
    expect(names.map((name) => name.slice(grad.length)).sort()).toEqual(
      Object.keys(gradients).sort(),
    );
    for (const name of names) {
      const gradient = gradients[name.slice(grad.length)];
      expect(difference(gradient, fixture.get(name).values), name).toBeLessThan(TOLERANCE);
    }
  });
});
