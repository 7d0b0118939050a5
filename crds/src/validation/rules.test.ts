import { describe, expect, it } from 'vitest';
import { changed, errorsIn } from './testing/run-file.ts';
import { checkRun, withoutUnknownFields } from './validate-run.ts';

/** Each rule: a value at its limit is taken, one beyond is refused, and the message says what would be right. */

type Changes = [path: string, value: unknown][];

const found = (changes: Changes) =>
  errorsIn(changed(...changes)).map(({ path, message }) => `${path}: ${message}`);

const conv = (fields: object = {}) => ({ type: 'conv', channels: 8, ...fields });
const wav = (window: number): Changes => [
  ['spec.data', { format: 'wav', path: '/data' }],
  ['spec.augmentation', undefined],
  ['spec.patches', undefined],
  ['spec.window', { samples: window }],
  ['spec.modules', [{ name: 'encoder', layers: [{ type: 'conv1d', channels: 4 }] }]],
];

/** A filter of `kernel` steps behind a layer that makes ten steps of a window of 160. */
const afterTenSteps = (kernel: number): Changes[number] => [
  'spec.modules.0.layers',
  [
    { type: 'conv1d', channels: 4, kernel: 16, stride: 16, padding: 0 },
    { type: 'conv1d', channels: 4, kernel, stride: 1, padding: 0 },
  ],
];

it.each<[what: string, taken: Changes, refused: Changes, message: string]>([
  [
    'a crop as large as the padded images',
    [['spec.augmentation', { crop: 32, pad: 2 }]],
    [['spec.augmentation', { crop: 33, pad: 2 }]],
    'spec.augmentation.crop: 33 must be at most 32: images of digits have 28 rows and columns, and pad adds 2 on each side',
  ],
  [
    'patches as large as the crop',
    [
      ['spec.patches.size', 28],
      ['spec.objective', { type: 'classLabels', classes: 2 }],
    ],
    [
      ['spec.patches.size', 29],
      ['spec.objective', { type: 'classLabels', classes: 2 }],
    ],
    'spec.patches.size: 29 must be at most 28, the size of the crop that patches are cut from',
  ],
  [
    'a value of each channel',
    [['spec.augmentation.normalize', { mean: [0], std: [1] }]],
    [['spec.augmentation.normalize', { mean: [0], std: [1, 1, 1] }]],
    'spec.augmentation.normalize.std: has 3 values; digits needs 1, one per channel',
  ],
  [
    'one value in grayscale',
    [
      ['spec.data', { format: 'cifar10', path: '/d' }],
      ['spec.augmentation', { crop: 28, grayscale: true, normalize: { mean: [0], std: [1] } }],
    ],
    [
      ['spec.data', { format: 'cifar10', path: '/d' }],
      [
        'spec.augmentation',
        { crop: 28, grayscale: true, normalize: { mean: [0, 0, 0], std: [1] } },
      ],
    ],
    'spec.augmentation.normalize.mean: has 3 values; cifar10 in grayscale needs 1, one per channel',
  ],
  [
    'a data set with its folder',
    [['spec.data', { format: 'cifar10', path: '/d' }]],
    [['spec.data', { format: 'cifar10' }]],
    'spec.data.path: is missing; cifar10 needs the folder of the data set (only digits are included in the program)',
  ],
  [
    'fields of images for images',
    [],
    [['spec.window', { samples: 160 }]],
    'spec.window: has no effect for digits, which needs augmentation and patches; remove it',
  ],
  [
    'fields of speech for speech',
    wav(20_480),
    [...wav(20_480), ['spec.window', undefined]],
    'spec.window: is missing; wav needs it',
  ],
  [
    'a field that the layer has',
    [['spec.modules.0.layers.0', conv({ kernel: 3 })]],
    [['spec.modules.0.layers.0', conv({ repeat: 2 })]],
    'spec.modules[0].layers[0].repeat: a conv layer has no repeat; it takes channels, kernel, stride, padding, activation',
  ],
  [
    'names that differ',
    [['spec.modules.1.name', 'other']],
    [['spec.modules.1.name', 'first']],
    'spec.modules[1].name: "first" is already the name of modules[0]; names must be unique in a run',
  ],
  [
    'a filter as large as what it gets',
    [['spec.modules.0.layers.0', conv({ kernel: 4, padding: 0 })]],
    [['spec.modules.0.layers.0', conv({ kernel: 5, padding: 0 })]],
    'spec.modules[0].layers[0]: module first gets patches of [4, 4, 1] (rows, columns, channels) from the data set, and this conv layer gets [4, 4, 1]: a kernel of 5 does not fit into 4 positions with padding 0; use a smaller kernel, more padding, or smaller strides before it',
  ],
  [
    'a filter as long as its window',
    [...wav(160), ['spec.objective', { type: 'classLabels', classes: 2 }], afterTenSteps(10)],
    [...wav(160), ['spec.objective', { type: 'classLabels', classes: 2 }], afterTenSteps(11)],
    'spec.modules[0].layers[1]: module encoder gets windows of [160, 1, 1] (rows, columns, channels) from the data set, and this conv1d layer gets [10, 1, 4]: a kernel of 11 does not fit into 10 positions with padding 0; use a smaller kernel, more padding, or smaller strides before it',
  ],
  [
    'the number of classes',
    [['spec.objective', { type: 'predSim', classes: 3 }]],
    [['spec.objective', { type: 'predSim' }]],
    'spec.objective.classes: is missing; predSim needs the number of classes of the data set',
  ],
  [
    'fields of the objective',
    [['spec.objective', { type: 'classLabels', classes: 3 }]],
    [['spec.objective', { type: 'classLabels', classes: 3, skip: 1 }]],
    'spec.objective.skip: the objective classLabels has no skip; it takes classes',
  ],
  [
    'two samples to tell apart',
    [
      ['spec.objective', { type: 'deepInfoMax' }],
      ['spec.batchSize', 2],
    ],
    [
      ['spec.objective', { type: 'deepInfoMax' }],
      ['spec.batchSize', 1],
      ['spec.modules.1.objective', { type: 'infoNCE' }],
    ],
    'spec.batchSize: 1 must be at least 2: deepInfoMax in module first takes negatives from the other samples of the batch',
  ],
  [
    'as many rows as the objective reaches over',
    [['spec.objective.predictionSteps', 5]],
    [['spec.objective.predictionSteps', 6]],
    'spec.objective: predictionSteps 6 and skip 1 need a grid of at least 8 rows; crop 28 with patches of 4 every 4 pixels has 7. Predict fewer steps, use a larger crop, or smaller or denser patches',
  ],
  [
    'as many steps as the objective reaches over',
    [
      ...wav(160),
      [
        'spec.modules.0.layers.0',
        { type: 'conv1d', channels: 4, kernel: 1, stride: 13, padding: 0 },
      ],
    ],
    [
      ...wav(160),
      [
        'spec.modules.0.layers.0',
        { type: 'conv1d', channels: 4, kernel: 1, stride: 14, padding: 0 },
      ],
    ],
    'spec.objective: predictionSteps 12 and skip 0 need at least 13 steps; after module encoder a window has 12. Predict fewer steps or use a longer window',
  ],
  [
    'a buffer that holds a batch',
    [['spec.buffers', { depth: 32 }]],
    [['spec.buffers', { depth: 31 }]],
    'spec.buffers.depth: 31 must be at least 32, the batch size of module second',
  ],
  [
    'what the first module reads from no buffer',
    [
      ['spec.buffers', { depth: 32 }],
      ['spec.modules.0.batchSize', 64],
    ],
    [
      ['spec.buffers', { depth: 32 }],
      ['spec.modules.1.batchSize', 64],
    ],
    'spec.buffers.depth: 32 must be at least 64, the batch size of module second',
  ],
  [
    'samples that are stored to be used again',
    [['spec.buffers', { reuse: 'always', maxReuse: 1 }]],
    [['spec.buffers', { reuse: 'always', maxReuse: 0 }]],
    'spec.buffers.maxReuse: 0 must be at least 1: with reuse always, each sample is used maxReuse times again',
  ],
  [
    'samples that are used exactly once',
    [['spec.buffers', { whenFull: 'block', maxReuse: 0 }]],
    [['spec.buffers', { whenFull: 'block', maxReuse: 1 }]],
    'spec.buffers.maxReuse: 1 must be 0: with whenFull block, every sample is used exactly once',
  ],
  [
    'batches of one size where all use the same samples',
    [['spec.modules.1.batchSize', 16]],
    [
      ['spec.buffers', { whenFull: 'block' }],
      ['spec.modules.1.batchSize', 16],
    ],
    'spec.modules[1].batchSize: 16 must be 32, the batch size of module first: with whenFull block, all modules use the same samples',
  ],
  [
    'one kind of budget',
    [['spec.training', { epochs: 1 }]],
    [['spec.training', { epochs: 1, samples: 1 }]],
    'spec.training: has samples and epochs; give one of the two',
  ],
  [
    'a budget',
    [['spec.training', { samples: 1 }]],
    [['spec.training', {}]],
    'spec.training: has neither samples nor epochs; give one of the two',
  ],
  [
    'one place of checkpoints',
    [['spec.checkpoints', { storage: { volumeClaimName: 'a' } }]],
    [['spec.checkpoints', { storage: { volumeClaimName: 'a', objectStore: {} } }]],
    'spec.checkpoints.storage: must have exactly one of volumeClaimName and objectStore',
  ],
])('%s', (_, taken, refused, message) => {
  expect(found(taken)).toEqual([]);
  expect(found(refused)).toEqual([message]);
});

describe('a message about one value', () => {
  it.each<[path: string, value: unknown, message: string]>([
    ['spec.seed', 'x', '"x" must be a whole number from 0 to 2147483647'],
    ['spec.seed', -1, '-1 must be at least 0'],
    ['spec.batchSize', 1.5, '1.5 must be a whole number from 1 to 65536'],
    ['spec.optimizer', { learningRate: 0 }, '0 must be more than 0'],
    ['spec.optimizer', { beta1: 1 }, '1 must be less than 1'],
    ['spec.suspend', 'yes', '"yes" must be true or false'],
    ['spec.modules', 'none', '"none" must be a list'],
    ['spec.modules', [], '[] must be a list of at least 1 items'],
    ['spec.data', 7, '7 must be a mapping of fields'],
    ['metadata.name', 7, '7 must be text'],
    ['metadata.name', 'x'.repeat(41), /^"x{41}" must be text of at most 40 characters$/.source],
    [
      'spec.buffers',
      { encoding: 'int9' },
      /^"int9" must be one of .*; did you mean int8\?$/.source,
    ],
    ['kind', 'Job', '"Job" must be "GreedyInfoMaxRun"'],
  ])('%s: %j', (path, value, message) => {
    const messages = errorsIn(changed([path, value])).map((each) => each.message);
    const wanted = message.startsWith('^') ? expect.stringMatching(message) : message;
    expect(messages).toContainEqual(wanted);
  });
});

it('an unknown field says the nearest known one, or all', () => {
  expect(found([['spec.buffers', { dept: 64 }]])).toEqual([
    'spec.buffers.dept: unknown field; did you mean depth?',
  ]);
  expect(found([['spec.training.zzzzzz', 1]])).toEqual([
    'spec.training.zzzzzz: unknown field; the fields here are samples, epochs',
  ]);
});

const unknown = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`unknown${i}`, i]));
const broken = (modules: number) => ({
  apiVersion: 'greedyinfomax.dev/v1alpha1',
  kind: 'GreedyInfoMaxRun',
  metadata: { name: 'a' },
  spec: {
    data: { format: 'digits' },
    augmentation: { crop: 28 },
    patches: { size: 4, stride: 4 },
    objective: { type: 'infoNCE' },
    training: { samples: 1 },
    modules: Array.from({ length: modules }, (_, i) => ({
      name: `m${i}`,
      layers: Array.from({ length: 4 }, () => ({ type: 'conv', channels: 0 })),
    })),
  },
});

it('the first 100 errors are told, and the number of the others', () => {
  expect(checkRun(broken(25))).toMatchObject({ run: null, errors: { length: 100 }, omitted: 0 });
  expect(checkRun(broken(26))).toMatchObject({ run: null, errors: { length: 100 }, omitted: 4 });
});

it('errors between fields count among the first 100', () => {
  const value = broken(25);
  const twice = { ...value, spec: { ...value.spec, training: { samples: 1, epochs: 1 } } };
  expect(checkRun(twice)).toMatchObject({ run: null, errors: { length: 100 }, omitted: 1 });
});

it('the parameters of all layers of a module count together', () => {
  const wide = conv({ channels: 8192, kernel: 5 });
  expect(found([['spec.modules.0.layers', [wide, wide]]])).toEqual([]);
  expect(found([['spec.modules.0.layers', [wide, wide, wide]]])).toEqual([
    expect.stringMatching(/^spec\.modules\[0\]\.layers: have 33\d{8} parameters/),
  ]);
});

it('a file without a mapping is refused where its value begins', () => {
  const at = (text: string) => errorsIn(text).map(({ line, column }) => [line, column]);
  expect(at('# nothing')).toEqual([[1, 1]]);
  expect(at('# a list\n\n  - a\n')).toEqual([[3, 3]]);
});

it('layers count as often as they are repeated, and at least once', () => {
  const layers = (list: unknown[]) => ({ spec: { modules: [{ layers: list }] } });
  const tooMany = (list: unknown[]) =>
    checkRun(layers(list)).errors.filter(({ message }) => /layers, counting/.test(message));
  expect(tooMany([{ repeat: 1023 }, {}])).toEqual([]);
  expect(tooMany([{ repeat: 1023 }, {}, { repeat: 0 }])).toEqual([
    {
      path: ['spec', 'modules'],
      message: 'has 1025 layers, counting each repetition; it must have at most 1024',
    },
  ]);
  expect(tooMany([{ repeat: 1023 }, null, 'x'])).toHaveLength(1);
});

it('unknown fields are taken out wherever they are, and nothing else', () => {
  const known = { ...broken(1), spec: { ...broken(1).spec, seed: -1 } };
  const later = { ...known, ...unknown(2), spec: { ...known.spec, ...unknown(3) } };
  expect(withoutUnknownFields(later)).toEqual(known);
  expect(later.spec).toHaveProperty('unknown1');
});

it('unknown fields of one module leave the modules before it as they are', () => {
  const known = broken(3);
  const modules = known.spec.modules.map((module, i) =>
    i === 1 ? { ...module, later: 1 } : module,
  );
  const later = { ...known, spec: { ...known.spec, modules } };
  expect(withoutUnknownFields(later)).toEqual(known);
});

it('the first module reads no buffer: its batch may be larger than the depth', () => {
  const buffers: [string, unknown] = ['spec.buffers', { depth: 64 }];
  expect(found([buffers, ['spec.modules.0.batchSize', 128]])).toEqual([]);
  expect(found([buffers, ['spec.modules.1.batchSize', 128]])).toEqual([
    'spec.buffers.depth: 64 must be at least 128, the batch size of module second',
  ]);
});
