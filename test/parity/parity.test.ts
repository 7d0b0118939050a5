import type { Layer, Objective } from '@greedy-infomax/crds';
import { afterEach, describe, expect, it } from 'vitest';
import { encodeAndRepresent } from '../../trainer/src/model/encoder.ts';
import { cutPatches } from '../../trainer/src/module/input.ts';
import { OBJECTIVES } from '../../trainer/src/objective/registry.ts';
import type { StepFunction, TensorSpec } from '../../trainer/src/step/function.ts';
import { Program } from '../../trainer/src/step/program.ts';
import type { Tensor, Values } from '../../trainer/src/tf.ts';
import {
  ADAM,
  difference,
  type Fixture,
  gradientsOf,
  parametersOf,
  readFixture,
  TOLERANCE,
} from './fixture.ts';

/**
 * Compares the compiled step with values that `make_fixtures.py` computed with PyTorch in float64.
 */

const programs: { dispose(): void }[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.dispose();
});

/** One step on the fixture's input and negatives. */
function compile(
  fixture: Fixture,
  options: { prefix: string; input: string; layers: Layer[]; objective: Objective },
) {
  const { prefix, layers, objective } = options;
  const x = fixture.get(options.input);
  const spec = (shape: readonly number[], dtype: TensorSpec['dtype']): TensorSpec => ({
    shape,
    dtype,
  });
  const feeds: Record<string, Values> = { x: x.values };
  const inputs: Record<string, TensorSpec> = { x: spec(x.shape, 'float32') };
  for (const name of fixture.names.filter(
    (n) => n.startsWith(`${prefix}negatives.`) || n === `${prefix}labels`,
  )) {
    const { shape, values } = fixture.get(name);
    const input = name.slice(prefix.length).replace('negatives.', '');
    inputs[input] = spec(shape, 'int32');
    feeds[input] = values;
  }
  const build: StepFunction['build'] = (fed, weights) => {
    const { z, representation } = encodeAndRepresent(layers, weights, fed.x as Tensor, [7, 7]);
    const loss = OBJECTIVES[objective.type].loss(objective, weights, representation, {
      labels: fed.labels as Tensor,
      draws: { ints: (k) => fed[`k${k}`] as Tensor, distinct: () => fed.none as Tensor },
    });
    return { loss, z, pooled: representation.context };
  };
  const program = Program.compile({
    weights: parametersOf(fixture, `${prefix}param.`),
    optimizer: ADAM,
    functions: { train: { inputs, build, minimise: 'loss' } },
  });
  programs.push(program);
  return { program, step: () => program.run('train', feeds) };
}

function expectGradients(program: Program<'train'>, fixture: Fixture, prefix: string): void {
  const gradients = gradientsOf(program);
  const names = fixture.names.filter((name) => name.startsWith(`${prefix}grad.`));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const gradient = gradients[name.slice(`${prefix}grad.`.length)];
    expect(difference(gradient, fixture.get(name).values), name).toBeLessThan(TOLERANCE);
  }
}

describe('a compiled module agrees with PyTorch', () => {
  const infoNCE = readFixture('vision-infonce.safetensors');
  const modules: { name: string; prefix: string; input: string; layers: Layer[] }[] = [
    {
      name: 'conv and residual block',
      prefix: 'm0.',
      input: 'patches',
      layers: [
        { type: 'conv', channels: 4, kernel: 5 },
        { type: 'residual', channels: 4 },
      ],
    },
    {
      name: 'residual block with stride and projection',
      prefix: 'm1.',
      input: 'm0.output',
      layers: [{ type: 'residual', channels: 8, stride: 2 }],
    },
    {
      name: 'bottleneck blocks',
      prefix: 'm2.',
      input: 'm1.output',
      layers: [{ type: 'bottleneck', channels: 4, stride: 2, repeat: 2 }],
    },
  ];

  it.each(modules)(
    'in output, loss and gradients of InfoNCE: $name',
    ({ prefix, input, layers }) => {
      const { program, step } = compile(infoNCE, {
        prefix,
        input,
        layers,
        objective: { type: 'infoNCE', epsilon: 1e-11 },
      });
      const { loss, z, pooled } = step();
      expect(difference(z, infoNCE.get(`${prefix}output`).values)).toBeLessThan(TOLERANCE);
      expect(difference(pooled, infoNCE.get(`${prefix}pooled`).values)).toBeLessThan(TOLERANCE);
      expect(difference(loss, infoNCE.get(`${prefix}loss`).values)).toBeLessThan(TOLERANCE);
      expectGradients(program, infoNCE, prefix);
    },
  );

  it.each(modules)('in 20 steps of Adam: $name', ({ prefix, input, layers }) => {
    const { program, step } = compile(infoNCE, {
      prefix,
      input,
      layers,
      objective: { type: 'infoNCE', epsilon: 1e-11 },
    });
    const losses = Float32Array.from({ length: 20 }, () => step().loss?.[0] as number);
    expect(difference(losses, infoNCE.get(`${prefix}losses20`).values)).toBeLessThan(TOLERANCE);
    const state = program.read();
    const names = infoNCE.names.filter((name) => name.startsWith(`${prefix}after20.`));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const values = state[name.slice(`${prefix}after20.`.length)]?.values;
      // Adam turns a near-zero gradient, whose sign is rounding, into a step at the full rate: the
      // tolerance is 10 times as large.
      expect(difference(values, infoNCE.get(name).values), name).toBeLessThan(10 * TOLERANCE);
    }
  });

  it('in output, loss and gradients of class labels', () => {
    const fixture = readFixture('vision-classlabels.safetensors');
    const layers: Layer[] = [
      { type: 'conv', channels: 4, kernel: 3, activation: 'relu' },
      { type: 'residual', channels: 8, stride: 2 },
    ];
    const objective: Objective = { type: 'classLabels', classes: 5 };
    const { program, step } = compile(fixture, { prefix: '', input: 'patches', layers, objective });
    const { loss, z } = step();
    expect(difference(z, fixture.get('output').values)).toBeLessThan(TOLERANCE);
    expect(difference(loss, fixture.get('loss').values)).toBeLessThan(TOLERANCE);
    expectGradients(program, fixture, '');
  });

  it('in the normalization of images and their overlapping patches', () => {
    const fixture = readFixture('patches.safetensors');
    const [mean, std] = [[...fixture.get('mean').values], [...fixture.get('std').values]];
    const source = {
      augmentation: { pad: 0, crop: 20, flip: false, grayscale: false, normalize: { mean, std } },
      patches: { size: 8, stride: 4 },
    };
    const { shape, values } = fixture.get('images');
    const program = Program.compile({
      weights: {},
      optimizer: ADAM,
      functions: {
        cut: {
          inputs: { images: { shape, dtype: 'uint8' } },
          build: ({ images }) => ({ patches: cutPatches(images as Tensor, source) }),
        },
      },
    });
    programs.push(program);
    const { patches } = program.run('cut', { images: values });
    expect(difference(patches, fixture.get('patches').values)).toBeLessThan(TOLERANCE);
  });
});
