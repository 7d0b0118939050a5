import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMap, isSeq, parseDocument } from 'yaml';
import { parseRun } from './parse.ts';
import { changed, errorsIn, MINIMAL } from './testing/run-file.ts';
import { checkRun, withoutUnknownFields } from './validate-run.ts';

describe('validation errors', () => {
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
      'the same of predSim',
      [['spec.objective', { type: 'predSim' }]],
      'spec.objective.classes',
      /predSim needs the number of classes/,
    ],
    [
      'patches that are told apart from those of no other sample',
      [
        ['spec.objective', { type: 'deepInfoMax' }],
        ['spec.modules.1.batchSize', 1],
      ],
      'spec.modules[1].batchSize',
      /1 must be at least 2/,
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
      'samples that are stored to be used once',
      [['spec.buffers', { reuse: 'always' }]],
      'spec.buffers.maxReuse',
      /0 must be at least 1/,
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
      'a storage for checkpoints that names none',
      [['spec.checkpoints', { storage: {} }]],
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
    const errors = errorsIn(changed(...changes));
    expect(errors).toEqual([
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
    expect(errorsIn(small)).toEqual([
      expect.objectContaining({
        path: 'spec.modules[1].layers[0]',
        message: expect.stringMatching(
          /module second gets patches of \[1, 1, 8\].* from module first.*a kernel of 3 does not fit/,
        ),
      }),
    ]);
  });

  test('errors between fields are reported along with all others', () => {
    const paths = errorsIn(
      changed(['spec.buffers', { depth: 16 }], ['spec.seed', -1], ['spec.modules.1.name', 'first']),
    ).map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['spec.buffers.depth', 'spec.seed', 'spec.modules[1].name']),
    );
    expect(paths).toHaveLength(3);
  });

  test('the bucket of checkpoints has no name of its choice: it could be that of another run', () => {
    const asked = (objectStore: object) =>
      changed(['spec.checkpoints', { storage: { objectStore } }]);
    expect(errorsIn(asked({}))).toEqual([]);
    expect(errorsIn(asked({ bucket: 'gim_team_b' })).map(({ path }) => path)).toEqual([
      'spec.checkpoints.storage.objectStore.bucket',
    ]);
  });

  test('what asks for nothing is taken', () => {
    expect(
      errorsIn(
        changed(
          ['spec.suspend', true],
          ['spec.activeDeadlineSeconds', 60],
          ['spec.modules.1.replicas', 1],
        ),
      ),
    ).toEqual([]);
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

test('a pod template may hold any field of a pod, for the run and for a module', () => {
  const podTemplate = {
    metadata: { labels: { team: 'x' } },
    spec: {
      schedulerName: 'packer',
      securityContext: { runAsUser: null },
      containers: [{ name: 'trainer', imagePullPolicy: 'Always' }],
      aFieldOfTomorrow: [{ a: 1 }],
    },
  };
  const text = changed(
    ['spec.podTemplate', podTemplate],
    ['spec.modules.0.podTemplate', podTemplate],
  );
  const { spec } = parseRun(text, 'run.yaml');
  expect([spec.podTemplate, spec.modules[0]?.podTemplate]).toEqual([podTemplate, podTemplate]);
});

test('unknown fields are left out, however deep their neighbours are nested', () => {
  let deep: unknown = {};
  for (let i = 0; i < 9000; i++) deep = { a: deep };
  const podTemplate = { spec: { affinity: deep } };
  const value = { spec: { modules: [{ podTemplate, later: 1 }] } };
  const { spec } = withoutUnknownFields(value) as typeof value;
  expect(spec.modules.map((module) => Object.keys(module))).toEqual([['podTemplate']]);
  expect(spec.modules[0]?.podTemplate === podTemplate).toBe(true);
  expect(value.spec.modules[0]).toHaveProperty('later');
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
      const { run, errors } = checkRun(copy.toJS());
      expect(run === null).toBe(errors.length > 0);
    }),
    { numRuns: 300 },
  );
});
