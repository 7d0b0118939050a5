import { encodedBytes, type Layer, type ModuleConfig, outputShape } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { encoderParameters } from '../model/encoder.ts';
import { distance } from '../step/testing/tensors.ts';
import { fastStep } from './fast-step.ts';
import { inputSpec } from './input.ts';
import { compileModule, moduleWeights } from './program.ts';
import { type ModuleFunctions, plainStep } from './step.ts';

const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);
const count = (layers: Layer[], channels: number) =>
  encoderParameters(layers, [16, 16, channels]).reduce((sum, { shape }) => sum + size(shape), 0);

/** A module of two images of 3 x 3 patches of 4 x 4 pixels. */
function config(overrides: Partial<ModuleConfig> = {}): ModuleConfig {
  const layers: Layer[] = [{ type: 'conv', channels: 3 }];
  const [rows, cols, channels] = outputShape(layers, [4, 4, 1]);
  const shape: [number, number, number, number] = [9, rows, cols, channels];
  return {
    run: { namespace: 'local', name: 'test' },
    uid: 'uid',
    name: 'first',
    index: 0,
    seed: 2,
    source: {
      kind: 'data',
      data: { format: 'digits' },
      augmentation: { pad: 0, crop: 8, flip: false, grayscale: false },
      patches: { size: 4, stride: 2 },
    },
    grid: [3, 3],
    input: [9, 4, 4, 1],
    output: shape,
    layers,
    objective: { type: 'infoNCE', predictionSteps: 1, skip: 1, negatives: 3 },
    optimizer: { type: 'adam', learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    batchSize: 2,
    budget: 10,
    precision: 'float32',
    order: 'simultaneous',
    averaging: {
      rule: 'average',
      everySteps: 50,
      pull: 0.5,
      outerLearningRate: 0.7,
      outerMomentum: 0.9,
    },
    sink: {
      stream: 's',
      subject: 's',
      consumer: 'c',
      encoding: 'float32',
      rectified: true,
      shape,
      sampleBytes: encodedBytes('float32', 9, [rows, cols, channels]),
      depth: 8,
      whenFull: 'dropOldest',
      maxReuse: 0,
    },
    checkpoints: { everySeconds: 60, keep: 3 },
    evaluation: { epochs: 1, batchSize: 2, learningRate: 1e-3 },
    ...overrides,
  } as ModuleConfig;
}

const batch = Uint8Array.from({ length: 2 * 64 }, (_, i) => (i * 37) & 255);
const feed = (step = 0) => ({ batch, labels: new Int32Array(2), seed: Int32Array.of(2, step) });

describe('an encoder', () => {
  it('has the parameters of the paper’s ResNet-50, module by module', () => {
    expect(
      count(
        [
          { type: 'conv', channels: 64, kernel: 5 },
          { type: 'bottleneck', channels: 64, repeat: 3 },
        ],
        1,
      ),
    ).toBe(216_064);
    expect(count([{ type: 'bottleneck', channels: 128, stride: 2, repeat: 4 }], 256)).toBe(
      1_216_000,
    );
    expect(count([{ type: 'bottleneck', channels: 256, stride: 2, repeat: 6 }], 512)).toBe(
      7_088_128,
    );
  });

  it('has the parameters of the paper’s ResNet-34, module by module', () => {
    expect(
      count(
        [
          { type: 'conv', channels: 64, kernel: 5 },
          { type: 'residual', channels: 64, repeat: 3 },
        ],
        1,
      ),
    ).toBe(223_232);
    expect(count([{ type: 'residual', channels: 128, stride: 2, repeat: 4 }], 64)).toBe(1_115_264);
    expect(count([{ type: 'residual', channels: 256, stride: 2, repeat: 6 }], 128)).toBe(6_819_072);
  });

  it('starts from weights uniform within one over the root of the inputs of a neuron', () => {
    const layers: Layer[] = [{ type: 'conv', channels: 64, kernel: 5 }];
    const weight = moduleWeights(config({ layers }))['layers.0.weight']?.values as Float32Array;
    const bound = 1 / Math.sqrt(25);
    expect(Math.max(...weight.map(Math.abs))).toBeLessThanOrEqual(bound);
    const deviation = Math.sqrt(weight.reduce((sum, x) => sum + x * x, 0) / weight.length);
    expect(deviation / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
  });
});

describe('the first weights', () => {
  const first = (overrides: Partial<ModuleConfig>) =>
    moduleWeights(config(overrides))['layers.0.weight']?.values;
  it('are the same for every replica and attempt, and others for each module and seed', () => {
    expect(first({})).toEqual(first({}));
    expect(first({ index: 1 })).not.toEqual(first({}));
    expect(first({ seed: 3 })).not.toEqual(first({}));
    expect(first({ seed: 3 })).not.toEqual(first({ index: 1 }));
  });
});

describe('a module', () => {
  it.each(['float32', 'bfloat16'] as const)(
    'lowers its loss from about chance in %s',
    (precision) => {
      const program = compileModule(config({ precision }));
      const losses = Array.from(
        { length: 60 },
        (_, i) => program.run('train', feed(i)).loss?.[0] as number,
      );
      expect(losses[0]).toBeCloseTo(Math.log(4), 1);
      expect(losses.at(-1)).toBeLessThan(losses[0] as number);
      program.dispose();
    },
  );

  it('sends relu of its output, from before the step', () => {
    const program = compileModule(config());
    const forward = program.run('forward', { batch }).activations as Uint8Array;
    const train = program.run('train', feed()).activations as Uint8Array;
    expect(Buffer.compare(forward, train)).toBe(0);
    const floats = new Float32Array(forward.slice().buffer);
    expect(Math.min(...floats)).toBe(0);
    expect(Math.max(...floats)).toBeGreaterThan(0);
    program.dispose();
  });

  it('steps the same way again from the same weights, batch and seed', () => {
    const [one, two] = [compileModule(config()), compileModule(config())];
    for (let i = 0; i < 3; i += 1) {
      expect(one.run('train', feed(i)).loss).toEqual(two.run('train', feed(i)).loss);
    }
    one.dispose();
    two.dispose();
  });

  const sequences: Partial<ModuleConfig> = {
    source: {
      kind: 'speech',
      data: { format: 'wav' },
      window: { samples: 40, normalize: { mean: 0, std: 0.05 } },
    } as ModuleConfig['source'],
    grid: null,
    input: [1, 40, 1, 1],
    output: [1, 10, 1, 4],
    layers: [
      { type: 'conv1d', channels: 3, kernel: 4, stride: 4, padding: 0 },
      { type: 'gru', channels: 4 },
    ] as Layer[],
    objective: {
      type: 'infoNCE',
      predictionSteps: 2,
      skip: 0,
      negatives: 3,
      subsample: 8,
    } as ModuleConfig['objective'],
    sink: null,
  };
  const floatsOf = (bytes: Uint8Array | Float32Array | Int32Array = new Uint8Array()) =>
    new Float32Array(bytes.slice().buffer);
  const infoNCE = (overrides: object) =>
    ({ type: 'infoNCE', predictionSteps: 2, skip: 0, negatives: 3, ...overrides }) as never;
  const cases: [string, Partial<ModuleConfig>][] = [
    ['images', {}],
    [
      'images with two layers',
      {
        layers: [
          { type: 'conv', channels: 4 },
          { type: 'residual', channels: 3 },
        ],
      },
    ],
    ['images with others as negatives', { objective: infoNCE({ sampling: 'others' }) }],
    ['images with a pixelCNN', { objective: infoNCE({ context: 'pixelCNN' }) }],
    ['images with class labels', { objective: { type: 'classLabels', classes: 2 } as never }],
    ['sequences', sequences],
    ...(['targets', 'shared', 'others', 'sequence'] as const).flatMap((sampling) =>
      [1, 2].map((predictionSteps): [string, Partial<ModuleConfig>] => [
        `sequences with ${sampling} negatives and ${predictionSteps} steps`,
        { ...sequences, objective: infoNCE({ sampling, predictionSteps, subsample: 8 }) },
      ]),
    ),
  ];
  it.each(cases)('computes with the fast step what the plain step computes: %s', (_, overrides) => {
    const described = config({ batchSize: 5, ...overrides });
    const bytes = size(inputSpec(described).shape);
    const samples = Uint8Array.from({ length: bytes }, (_, i) => (i * i * 37) & 255);
    const train = (functions: ModuleFunctions) => {
      const program = compileModule(described, functions);
      const fed = { ...feed(), batch: samples, labels: Int32Array.of(0, 1, 1, 0, 1) };
      const { loss, activations } = program.run('train', fed);
      const moments = Object.entries(program.read()).filter(([name]) => name.startsWith('adam.m.'));
      program.dispose();
      return { loss: loss?.[0] as number, activations, moments };
    };
    const plain = train(plainStep(described));
    for (const sizes of [[5], [1, 2, 2]]) {
      const fast = train(fastStep(described, sizes));
      expect(fast.loss).toBeCloseTo(plain.loss, 5);
      expect(fast.activations === undefined).toBe(described.sink === null);
      if (described.sink) {
        const [found, expected] = [fast, plain].map(({ activations }) => floatsOf(activations));
        expect(distance(found as Float32Array, expected as Float32Array)).toBeLessThan(1e-5);
      }
      expect(fast.moments.length).toBeGreaterThan(1);
      for (const [i, [name, { values }]] of fast.moments.entries()) {
        const expected = plain.moments[i]?.[1].values as Float32Array;
        expect(distance(values as Float32Array, expected), name).toBeLessThan(1e-4);
      }
    }
  });

  it('makes activations while it trains, but not where modules train one after another', () => {
    const [together, apart] = [
      compileModule(config()),
      compileModule(config({ order: 'iterative' })),
    ];
    expect(together.run('train', feed()).activations).toBeDefined();
    expect(apart.run('train', feed()).activations).toBeUndefined();
    expect(apart.run('forward', { batch }).activations).toEqual(
      together.run('forward', { batch }).activations,
    );
    together.dispose();
    apart.dispose();
  });

  it('learns classes with the objective classLabels', () => {
    const program = compileModule(
      config({ objective: { type: 'classLabels', classes: 2 }, sink: null }),
    );
    const darkAndBright = Uint8Array.from({ length: 2 * 64 }, (_, i) =>
      i < 64 ? i & 7 : 255 - (i & 7),
    );
    const labelled = { ...feed(), batch: darkAndBright, labels: Int32Array.of(0, 1) };
    const first = program.run('train', labelled).loss?.[0] as number;
    for (let i = 0; i < 100; i += 1) program.run('train', labelled);
    expect(first).toBeCloseTo(Math.log(2), 0);
    expect(program.run('train', labelled).loss?.[0]).toBeLessThan(first / 2);
    program.dispose();
  });
});
