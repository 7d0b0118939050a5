import type { Objective } from '@greedy-infomax/crds';
import { afterEach, expect, it } from 'vitest';
import { pixelCNN } from '../../trainer/src/objective/pixel-cnn.ts';
import { OBJECTIVES } from '../../trainer/src/objective/registry.ts';
import type { StepFunction, TensorSpec } from '../../trainer/src/step/function.ts';
import { Program } from '../../trainer/src/step/program.ts';
import type { Tensor, Values } from '../../trainer/src/tf.ts';
import { ADAM, difference, gradientsOf, parametersOf, readFixture, TOLERANCE } from './fixture.ts';

/**
 * Compares the baselines' objectives with values that `make_objective_fixtures.py` computed with
 * PyTorch in float64.
 */

const fixture = readFixture('objectives.safetensors');

const OBJECTIVES_OF_FIXTURE: [prefix: string, objective: Objective][] = [
  ['cpc', { type: 'infoNCE', context: 'pixelCNN', epsilon: 1e-11 }],
  ['predsim', { type: 'predSim', classes: 3, similarity: 0.75 }],
  ['dim-js', { type: 'deepInfoMax', units: 5 }],
  ['dim-nce', { type: 'deepInfoMax', units: 5, estimator: 'infoNCE' }],
];

const programs: { dispose(): void }[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.dispose();
});

/** Tensors of the fixture for each prediction step, and the labels. */
function feeds(): { inputs: Record<string, TensorSpec>; values: Record<string, Values> } {
  const names = fixture.names.filter((name) => name.startsWith('negatives.') || name === 'labels');
  const entries = names.map((name) => [name.replace('negatives.', ''), fixture.get(name)] as const);
  return {
    inputs: Object.fromEntries(
      entries.map(([name, { shape }]) => [name, { shape, dtype: 'int32' as const }]),
    ),
    values: Object.fromEntries(entries.map(([name, { values }]) => [name, values])),
  };
}

function compile(weights: string, build: StepFunction['build'], minimise?: string) {
  const { inputs, values } = feeds();
  const program = Program.compile({
    weights: parametersOf(fixture, weights),
    optimizer: ADAM,
    functions: { train: { inputs, build, minimise } },
  });
  programs.push(program);
  return { program, outputs: program.run('train', values) };
}

it.each(OBJECTIVES_OF_FIXTURE)(
  'the objective %s agrees with PyTorch in loss and all gradients, including those of the maps',
  (prefix, objective) => {
    // The maps are a weight here, so that their gradient can be read.
    const build: StepFunction['build'] = (fed, weights) => ({
      loss: OBJECTIVES[objective.type].loss(
        objective,
        weights,
        { context: weights.x as Tensor, target: weights.x as Tensor },
        {
          labels: fed.labels as Tensor,
          draws: { ints: (k) => fed[`k${k}`] as Tensor, distinct: () => fed.none as Tensor },
        },
      ),
    });
    const { program, outputs } = compile(`${prefix}.param.`, build, 'loss');
    expect(difference(outputs.loss, fixture.get(`${prefix}.loss`).values)).toBeLessThan(TOLERANCE);
    const gradients = gradientsOf(program);
    const names = fixture.names.filter((name) => name.startsWith(`${prefix}.grad.`));
    expect(names.map((name) => name.slice(prefix.length + '.grad.'.length)).sort()).toEqual(
      Object.keys(gradients).sort(),
    );
    for (const name of names) {
      const gradient = gradients[name.slice(prefix.length + '.grad.'.length)];
      const expected = fixture.get(name).values;
      // A bias that shifts all scores of a softmax equally: its gradient is zero up to rounding.
      const zero = expected.every((value) => Math.abs(value) < 1e-9);
      const found = zero
        ? Math.max(...(gradient ?? []).map(Math.abs))
        : difference(gradient, expected);
      expect(found, name).toBeLessThan(TOLERANCE);
    }
  },
);

it('creates every weight of the fixture, with its shape', () => {
  for (const [prefix, objective] of OBJECTIVES_OF_FIXTURE) {
    const { x: _, ...weights } = parametersOf(fixture, `${prefix}.param.`);
    const made = OBJECTIVES[objective.type].parameters(objective, 6, 6);
    const shapes = Object.fromEntries(made.map(({ name, shape }) => [name, [...shape]]));
    expect(shapes).toEqual(
      Object.fromEntries(Object.entries(weights).map(([name, { shape }]) => [name, [...shape]])),
    );
  }
});

it('the context of a row depends on no row below it', () => {
  const x = fixture.get('cpc.param.x');
  const [, rows, cols, channels] = x.shape as [number, number, number, number];
  const contextOf = (maps: Float32Array) => {
    const program = Program.compile({
      weights: parametersOf(fixture, 'cpc.param.'),
      optimizer: ADAM,
      functions: {
        look: {
          inputs: { maps: { shape: x.shape, dtype: 'float32' } },
          build: ({ maps }, weights) => ({ context: pixelCNN(weights, maps as Tensor) }),
        },
      },
    });
    programs.push(program);
    return program.run('look', { maps }).context as Float32Array;
  };
  const values = x.values as Float32Array;
  const row = cols * channels;
  // Everything below row 3 differs.
  const below = values.map((value, i) => (Math.floor(i / row) % rows > 3 ? value + 1 : value));
  const [before, after] = [contextOf(values), contextOf(below)];
  const changed = new Set<number>();
  before.forEach((value, i) => {
    if (value !== after[i]) changed.add(Math.floor(i / row) % rows);
  });
  expect([...changed].sort()).toEqual([4, 5, 6]);
});
