import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMap, isSeq, parseDocument } from 'yaml';
import { checkRun } from './check.ts';
import { type LocatedMistake, parseRun, RunFileError } from './parse.ts';

const examples = join(import.meta.dirname, '../../examples');
const MINIMAL = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata:
  name: small
spec:
  data:
    format: digits
  augmentation:
    crop: 28
  patches:
    size: 4
    stride: 4
  modules:
    - name: first
      layers:
        - type: conv
          channels: 8
    - name: second
      layers:
        - type: residual
          channels: 16
          stride: 2
  objective:
    type: infoNCE
  training:
    samples: 640
`;

function mistakesIn(text: string): readonly LocatedMistake[] {
  try {
    parseRun(text, 'run.yaml');
  } catch (error) {
    if (error instanceof RunFileError) return error.mistakes;
    throw error;
  }
  return [];
}

/** MINIMAL with the value at `path` replaced, or taken out if it is undefined. */
function changed(...changes: [path: string, value: unknown][]): string {
  const document = parseDocument(MINIMAL);
  for (const [path, value] of changes) {
    const keys = path.split('.').map((key) => (/^\d+$/.test(key) ? Number(key) : key));
    if (value === undefined) document.deleteIn(keys);
    else document.setIn(keys, document.createNode(value));
  }
  return document.toString();
}

/** The line of a text that `path` stands on, found by the words of that line. */
const lineOf = (text: string, words: string): number =>
  text.split('\n').findIndex((line) => line.includes(words)) + 1;

test.each(readdirSync(examples).filter((name) => name.endsWith('.yaml')))(
  'examples/%s is a run without mistakes',
  (name) => {
    const run = parseRun(readFileSync(join(examples, name), 'utf8'), name);
    expect(run.metadata.name).toBe(name.replace('.yaml', ''));
  },
);

test('fills in every default', () => {
  expect(parseRun(MINIMAL, 'run.yaml').spec).toMatchObject({
    seed: 2,
    batchSize: 32,
    augmentation: { pad: 0, flip: false, grayscale: false },
    optimizer: { type: 'adam', learningRate: 2e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    buffers: { depth: 256, encoding: 'int8', whenFull: 'dropOldest', maxReuse: 0 },
    checkpoints: { everySeconds: 60, keep: 3 },
    evaluation: { atEnd: true, epochs: 100, batchSize: 128, learningRate: 1e-3 },
    suspend: false,
  });
});

test('of several documents the run counts', () => {
  const text = `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n---\n${MINIMAL}`;
  expect(parseRun(text, 'run.yaml').metadata.name).toBe('small');
  const [mistake] = mistakesIn(text.replace('crop: 28', 'crop: 29'));
  expect(mistake?.line).toBe(lineOf(text, 'crop: 28'));
});

test('anchors and aliases are followed, also to the line of a mistake', () => {
  const text = MINIMAL.replace('      layers:', '      layers: &layers').replace(
    /layers:\n +- type: residual[\s\S]*?stride: 2/,
    'layers: *layers',
  );
  expect(mistakesIn(text)).toEqual([]);
  const mistakes = mistakesIn(text.replace('channels: 8', 'channels: none'));
  expect(mistakes.map(({ path, line }) => [path, line])).toEqual([
    ['spec.modules[0].layers[0].channels', lineOf(text, 'channels: 8')],
    ['spec.modules[1].layers[0].channels', lineOf(text, 'channels: 8')],
  ]);
});

describe('mistakes', () => {
  test('every one is reported, in the order of the file, with file, line and column', () => {
    const text = MINIMAL.replace('crop: 28', 'crop: big')
      .replace('channels: 8', 'chanels: 8')
      .replace('samples: 640', 'samples: 0');
    expect(() => parseRun(text, 'run.yaml')).toThrow(RunFileError);
    const lines = mistakesIn(text);
    expect(lines.map(({ path }) => path)).toEqual([
      'spec.augmentation.crop',
      'spec.modules[0].layers[0].channels',
      'spec.modules[0].layers[0].chanels',
      'spec.training.samples',
    ]);
    let message = '';
    try {
      parseRun(text, 'run.yaml');
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')[0]).toBe(
      'run.yaml:9:11 spec.augmentation.crop: "big" must be a whole number from 4 to 1024',
    );
    expect(message.split('\n')).toHaveLength(4);
  });

  test('a field that is missing stands at the line of what should hold it', () => {
    const [mistake] = mistakesIn(
      changed(['spec.augmentation.crop', undefined], ['spec.augmentation.pad', 0]),
    );
    expect(mistake).toMatchObject({
      path: 'spec.augmentation.crop',
      line: lineOf(MINIMAL, 'augmentation:'),
      message: expect.stringMatching(/is missing: Rows and columns of the random crop/),
    });
  });

  test('a field that a layer of another type has says which fields this one takes', () => {
    const [mistake] = mistakesIn(changed(['spec.modules.1.layers.0.kernel', 5]));
    expect(mistake).toMatchObject({
      path: 'spec.modules[1].layers[0].kernel',
      message: 'a residual layer has no kernel; it takes channels, stride, repeat',
    });
  });

  test.each<[what: string, words: string, path: string, line: string, message: RegExp]>([
    [
      'an unknown field',
      'format: digits',
      'spec.data.formt',
      'formt: digits',
      /did you mean format/,
    ],
    ['a value out of bounds', 'size: 4', 'spec.patches.size', 'size: 0', /0 must be at least 1/],
    [
      'a number in quotes',
      'size: 4',
      'spec.patches.size',
      "size: '4'",
      /"4" must be a whole number from 1 to 512/,
    ],
    [
      'an unknown value',
      'type: infoNCE',
      'spec.objective.type',
      'type: infoNC',
      /did you mean infoNCE/,
    ],
    [
      'a name with a dot',
      'name: small',
      'metadata.name',
      'name: s.mall',
      /lower-case letters, digits and -/,
    ],
    [
      'a name that is too long',
      'name: small',
      'metadata.name',
      `name: ${'a'.repeat(41)}`,
      /at most 40 characters/,
    ],
    [
      'another version',
      'apiVersion: greedyinfomax.dev/v1alpha1',
      'apiVersion',
      'apiVersion: v2',
      /must be "greedyinfomax.dev\/v1alpha1"/,
    ],
  ])('%s', (_, words, path, line, message) => {
    const text = MINIMAL.replace(words, line);
    expect(mistakesIn(text)).toContainEqual({
      path,
      line: lineOf(text, line),
      column: expect.any(Number),
      message: expect.stringMatching(message),
    });
  });

  test.each<[what: string, changes: [string, unknown][], path: string, message: RegExp]>([
    ['neither samples nor epochs', [['spec.training', {}]], 'spec.training', /one of the two/],
    ['samples and epochs', [['spec.training.epochs', 1]], 'spec.training', /one of the two/],
    [
      'a module name twice',
      [['spec.modules.1.name', 'first']],
      'spec.modules[1].name',
      /"first" is already the name of modules\[0\]/,
    ],
    [
      'a field of another objective',
      [['spec.objective.classes', 10]],
      'spec.objective.classes',
      /infoNCE has no classes/,
    ],
    [
      'class labels without classes',
      [['spec.objective', { type: 'classLabels' }]],
      'spec.objective.classes',
      /number of classes/,
    ],
    [
      'a grid too low to predict in',
      [['spec.objective.predictionSteps', 6]],
      'spec.objective',
      /at least 8 rows.* has 7/,
    ],
    [
      'the same in one module',
      [['spec.modules.1.objective', { type: 'infoNCE', skip: 2 }]],
      'spec.modules[1].objective',
      /at least 8 rows/,
    ],
    [
      'patches larger than the crop',
      [['spec.patches.size', 29]],
      'spec.patches.size',
      /at most 28/,
    ],
    [
      'a crop larger than the images',
      [
        ['spec.augmentation.crop', 40],
        ['spec.augmentation.pad', 2],
      ],
      'spec.augmentation.crop',
      /at most 32/,
    ],
    [
      'reuse of samples that are used exactly once',
      [['spec.buffers', { whenFull: 'block', maxReuse: 1 }]],
      'spec.buffers.maxReuse',
      /must be 0/,
    ],
    [
      'a buffer that cannot hold a batch',
      [['spec.buffers', { depth: 16 }]],
      'spec.buffers.depth',
      /at least 32, the batch size of module second/,
    ],
    [
      'batches of different sizes that should use the same samples',
      [
        ['spec.buffers', { whenFull: 'block' }],
        ['spec.modules.1.batchSize', 16],
      ],
      'spec.modules[1].batchSize',
      /16 must be 32/,
    ],
    [
      'a data set without a folder',
      [['spec.data.format', 'cifar10']],
      'spec.data.path',
      /is missing; cifar10 needs the folder/,
    ],
    [
      'a mean for each of three channels of gray images',
      [['spec.augmentation.normalize', { mean: [0, 0, 0], std: [1] }]],
      'spec.augmentation.normalize.mean',
      /has 3 values; digits needs 1/,
    ],
    [
      'checkpoints in two places',
      [['spec.checkpoints', { storage: { volumeClaimName: 'a', objectStore: { bucket: 'b' } } }]],
      'spec.checkpoints.storage',
      /exactly one of/,
    ],
    [
      'a volume of two kinds',
      [
        [
          'spec.podTemplate',
          { volumes: [{ name: 'a', mountPath: '/a', emptyDir: {}, hostPath: { path: '/' } }] },
        ],
      ],
      'spec.podTemplate.volumes[0]',
      /exactly one of/,
    ],
  ])('%s', (_, changes, path, message) => {
    const mistakes = mistakesIn(changed(...changes));
    expect(mistakes).toEqual([
      {
        path,
        line: expect.any(Number),
        column: expect.any(Number),
        message: expect.stringMatching(message),
      },
    ]);
  });

  test('a module that cannot take what comes in names both modules, the shape and the need', () => {
    const small = changed(
      ['spec.modules.0.layers.0.stride', 4],
      ['spec.modules.1.layers.0', { type: 'conv', channels: 4, kernel: 3, padding: 0 }],
    );
    expect(mistakesIn(small)).toEqual([
      expect.objectContaining({
        path: 'spec.modules[1].layers[0]',
        message: expect.stringMatching(
          /module second gets patches of \[1, 1, 8\].* from module first.*a filter of 3 does not fit/,
        ),
      }),
    ]);
  });

  test('mistakes between fields are found beside mistakes elsewhere', () => {
    const paths = mistakesIn(
      changed(['spec.buffers', { depth: 16 }], ['spec.seed', -1], ['spec.modules.1.name', 'first']),
    ).map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['spec.buffers.depth', 'spec.seed', 'spec.modules[1].name']),
    );
    expect(paths).toHaveLength(3);
  });

  test.each<[path: string, value: unknown, at: string]>([
    ['spec.suspend', true, 'spec.suspend'],
    ['spec.activeDeadlineSeconds', 60, 'spec.activeDeadlineSeconds'],
    ['spec.averaging', { everySteps: 10 }, 'spec.averaging'],
    ['spec.evaluation', { everySamples: 10 }, 'spec.evaluation.everySamples'],
    ['spec.order', 'iterative', 'spec.order'],
    ['spec.modules.1.replicas', 2, 'spec.modules[1].replicas'],
    ['spec.data.format', 'wav', 'spec.data.format'],
    ['spec.modules.1.layers.0.type', 'gru', 'spec.modules[1].layers[0].type'],
    ['spec.objective.type', 'predSim', 'spec.objective.type'],
    ['spec.modules.0.objective', { type: 'deepInfoMax' }, 'spec.modules[0].objective.type'],
  ])('%s = %j is not implemented yet', (path, value, at) => {
    const mistakes = mistakesIn(changed([path, value]));
    expect(mistakes.map((mistake) => mistake.path)).toEqual([at]);
    expect(mistakes[0]?.message).toMatch(/is not implemented yet; \w+/);
  });

  test('what has no effect yet but asks for none is taken', () => {
    expect(mistakesIn(changed(['spec.suspend', false], ['spec.modules.1.replicas', 1]))).toEqual(
      [],
    );
  });

  test('YAML that cannot be read says where', () => {
    const [mistake] = mistakesIn(MINIMAL.replace('name: small', 'name: [small'));
    expect(mistake).toMatchObject({ path: '.', message: expect.stringMatching(/not valid YAML/) });
    expect(mistakesIn(`${MINIMAL}spec: {}\n`)[0]?.message).toMatch(/unique/);
    expect(mistakesIn(MINIMAL.replace('crop: 28', 'crop: *nowhere'))[0]?.message).toMatch(
      /nowhere/,
    );
  });

  test.each(['', '# nothing', '- a', 'text'])('%j holds no run', (text) => {
    expect(mistakesIn(text)[0]?.message).toMatch(/must be a GreedyInfoMaxRun/);
  });
});

test('what the cluster needs is taken as it is', () => {
  const podTemplate = {
    image: 'trainer:1',
    nodeSelector: { gpu: 'yes' },
    tolerations: [{ key: 'gpu', operator: 'Exists' }],
    affinity: { nodeAffinity: { anything: [1] } },
    volumes: [{ name: 'data', mountPath: '/data', persistentVolumeClaim: { claimName: 'data' } }],
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
  };
  const resources = { requests: { cpu: 2 }, limits: { 'nvidia.com/gpu': '1' } };
  const text = changed(['spec.podTemplate', podTemplate], ['spec.resources', resources]);
  expect(parseRun(text, 'run.yaml').spec).toMatchObject({ podTemplate, resources });
});

test('no value at any place makes the check itself fail', () => {
  const document = parseDocument(MINIMAL);
  const paths: (string | number)[][] = [];
  const walk = (node: unknown, at: (string | number)[]): void => {
    paths.push(at);
    if (isMap(node)) for (const { key, value } of node.items) walk(value, [...at, String(key)]);
    if (isSeq(node)) for (const [i, item] of node.items.entries()) walk(item, [...at, i]);
  };
  walk(document.contents, []);
  fc.assert(
    fc.property(fc.constantFrom(...paths.slice(1)), fc.jsonValue(), (path, value) => {
      const copy = parseDocument(MINIMAL);
      copy.setIn(path, value);
      const { run, mistakes } = checkRun(copy.toJS());
      expect(run === null).toBe(mistakes.length > 0);
    }),
    { numRuns: 300 },
  );
});
