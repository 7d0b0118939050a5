import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layer, Objective } from '@greedy-infomax/crds';
import { afterEach, describe, expect, it } from 'vitest';
import { decodeSafetensors } from '../../trainer/src/checkpoint/safetensors.ts';
import { encode, pool } from '../../trainer/src/model/encoder.ts';
import { cutPatches } from '../../trainer/src/model/input.ts';
import { OBJECTIVES } from '../../trainer/src/objective/objective.ts';
import type { StepFunction, TensorSpec } from '../../trainer/src/step/function.ts';
import { Program } from '../../trainer/src/step/program.ts';
import type { Tensor, Values } from '../../trainer/src/tf.ts';

/** The compiled step against numbers that `make_fixtures.py` computed with PyTorch in float64. */

const adam = { type: 'adam' as const, learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

const read = (file: string) =>
  decodeSafetensors(readFileSync(join(import.meta.dirname, 'fixtures', file))).tensors;
type Tensors = ReturnType<typeof read>;

function get(tensors: Tensors, name: string): { shape: readonly number[]; values: Values } {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`the fixture has no ${name}`);
  return { shape: tensor.shape, values: tensor.data as Values };
}

/** Largest difference, relative to the largest expected value. */
function difference(got: Values | undefined, expected: Values): number {
  expect(got?.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((x, i) => Math.abs(x - (got?.[i] as number)))) / (scale || 1);
}

/** What the trainer promises: within 1e-4 of an independent implementation. */
const TOLERANCE = 1e-4;

const parametersOf = (tensors: Tensors, prefix: string) =>
  Object.fromEntries(
    Object.keys(tensors)
      .filter((name) => name.startsWith(prefix))
      .map((name) => {
        const { shape, values } = get(tensors, name);
        return [name.slice(prefix.length), { shape, values: values as Float32Array }];
      }),
  );

const programs: { dispose(): void }[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.dispose();
});

/** A step on the fixture's own input and negatives. */
function compile(
  tensors: Tensors,
  options: { prefix: string; input: string; layers: Layer[]; objective: Objective },
) {
  const { prefix, layers, objective } = options;
  const x = get(tensors, options.input);
  const spec = (shape: readonly number[], dtype: TensorSpec['dtype']): TensorSpec => ({
    shape,
    dtype,
  });
  const feeds: Record<string, Values> = { x: x.values };
  const inputs: Record<string, TensorSpec> = { x: spec(x.shape, 'float32') };
  for (const name of Object.keys(tensors).filter(
    (n) => n.startsWith(`${prefix}negatives.`) || n === `${prefix}labels`,
  )) {
    const { shape, values } = get(tensors, name);
    const input = name.slice(prefix.length).replace('negatives.', '');
    inputs[input] = spec(shape, 'int32');
    feeds[input] = values;
  }
  const build: StepFunction['build'] = (fed, weights) => {
    const z = encode(layers, weights, fed.x as Tensor);
    const pooled = pool(z, [7, 7]);
    const loss = OBJECTIVES[objective.type].loss(objective, weights, pooled, {
      labels: fed.labels as Tensor,
      draw: (k) => fed[`k${k}`] as Tensor,
    });
    return { loss, z, pooled };
  };
  const program = Program.compile({
    weights: parametersOf(tensors, `${prefix}param.`),
    optimizer: adam,
    functions: { train: { inputs, build, minimise: 'loss' } },
  });
  programs.push(program);
  return { program, step: () => program.run('train', feeds) };
}

/** Gradients of the first step: Adam's first moment is then (1 - beta1) times them. */
function expectGradients(program: Program<'train'>, tensors: Tensors, prefix: string): void {
  const state = program.read();
  const names = Object.keys(tensors).filter((name) => name.startsWith(`${prefix}grad.`));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const parameter = name.slice(`${prefix}grad.`.length);
    const gradient = state[`adam.m.${parameter}`]?.values.map((m) => m / (1 - adam.beta1));
    expect(difference(gradient, get(tensors, name).values), name).toBeLessThan(TOLERANCE);
  }
}

describe('a compiled module agrees with PyTorch', () => {
  const infoNCE = read('vision-infonce.safetensors');
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
        objective: { type: 'infoNCE' },
      });
      const { loss, z, pooled } = step();
      expect(difference(z, get(infoNCE, `${prefix}output`).values)).toBeLessThan(TOLERANCE);
      expect(difference(pooled, get(infoNCE, `${prefix}pooled`).values)).toBeLessThan(TOLERANCE);
      expect(difference(loss, get(infoNCE, `${prefix}loss`).values)).toBeLessThan(TOLERANCE);
      expectGradients(program, infoNCE, prefix);
    },
  );

  it.each(modules)('in 20 steps of Adam: $name', ({ prefix, input, layers }) => {
    const { program, step } = compile(infoNCE, {
      prefix,
      input,
      layers,
      objective: { type: 'infoNCE' },
    });
    const losses = Float32Array.from({ length: 20 }, () => step().loss?.[0] as number);
    expect(difference(losses, get(infoNCE, `${prefix}losses20`).values)).toBeLessThan(TOLERANCE);
    const state = program.read();
    const names = Object.keys(infoNCE).filter((name) => name.startsWith(`${prefix}after20.`));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const values = state[name.slice(`${prefix}after20.`.length)]?.values;
      // Adam turns a gradient near zero, whose sign is rounding, into a step of the full rate: hence 10 times more room.
      expect(difference(values, get(infoNCE, name).values), name).toBeLessThan(10 * TOLERANCE);
    }
  });

  it('in output, loss and gradients of class labels', () => {
    const tensors = read('vision-classlabels.safetensors');
    const layers: Layer[] = [
      { type: 'conv', channels: 4, kernel: 3, activation: 'relu' },
      { type: 'residual', channels: 8, stride: 2 },
    ];
    const objective: Objective = { type: 'classLabels', classes: 5 };
    const { program, step } = compile(tensors, { prefix: '', input: 'patches', layers, objective });
    const { loss, z } = step();
    expect(difference(z, get(tensors, 'output').values)).toBeLessThan(TOLERANCE);
    expect(difference(loss, get(tensors, 'loss').values)).toBeLessThan(TOLERANCE);
    expectGradients(program, tensors, '');
  });

  it('in how images become normalised, overlapping patches', () => {
    const tensors = read('patches.safetensors');
    const [mean, std] = [[...get(tensors, 'mean').values], [...get(tensors, 'std').values]];
    const source = {
      augmentation: { pad: 0, crop: 20, flip: false, grayscale: false, normalize: { mean, std } },
      patches: { size: 8, stride: 4 },
    };
    const { shape, values } = get(tensors, 'images');
    const program = Program.compile({
      weights: {},
      optimizer: adam,
      functions: {
        cut: {
          inputs: { images: { shape, dtype: 'uint8' } },
          build: ({ images }) => ({ patches: cutPatches(images as Tensor, source) }),
        },
      },
    });
    programs.push(program);
    const { patches } = program.run('cut', { images: values });
    expect(difference(patches, get(tensors, 'patches').values)).toBeLessThan(TOLERANCE);
  });
});
