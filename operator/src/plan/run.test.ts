import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Data, moduleConfigSchema, parseRun, type Run } from '@greedy-infomax/crds';
import { describe, expect, test } from 'vitest';
import { PlanError, planRun } from './run.ts';

const folder = join(import.meta.dirname, '../../../examples');
const example = (name: string): Run => parseRun(readFileSync(join(folder, name), 'utf8'), name);
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.yaml'),
);
const local = { namespace: 'local', uid: 'a' };

const digits = (change: Partial<Run['spec']> = {}): Run => {
  const run = example('digits.yaml');
  return { ...run, spec: { ...run.spec, ...change } };
};

test.each(files)('examples/%s plans into configurations that a trainer accepts', (name) => {
  const { modules, streams } = planRun(example(name), { ...local, dataSetSize: 100_000 });
  for (const module of modules) expect(moduleConfigSchema.parse(module)).toEqual(module);
  expect(streams).toHaveLength(modules.length - 1);
});

test('each module reads the very edge that the module before it writes', () => {
  const { modules, streams } = planRun(digits(), local);
  expect(modules.map(({ name }) => name)).toEqual(['edges', 'strokes', 'shapes']);
  expect(modules[0]?.source.kind).toBe('data');
  for (const [i, stream] of streams.entries()) {
    const { sink } = modules[i] ?? {};
    expect(modules[i + 1]?.source).toEqual({ kind: 'edge', edge: sink });
    expect(modules[i + 1]?.input).toEqual(sink?.shape);
    expect(stream).toMatchObject({ name: sink?.stream, subject: sink?.subject });
    expect(stream.consumer.name).toBe(modules[i + 1]?.name);
  }
  expect(modules[2]?.sink).toBeNull();
});

test('a sample behind the first stage of ResNet-50 takes 12,845,056 bytes as float32', () => {
  const run = example('stl10-resnet50.yaml');
  const buffers = { ...run.spec.buffers, encoding: 'float32' as const };
  const plan = planRun(
    { ...run, spec: { ...run.spec, buffers } },
    { ...local, dataSetSize: 100_000 },
  );
  expect(plan.modules[0]?.sink?.sampleBytes).toBe(12_845_056);
  expect(plan.modules.map(({ output }) => output)).toEqual([
    [49, 16, 16, 256],
    [49, 8, 8, 512],
    [49, 4, 4, 1024],
  ]);
});

test('activations are rectified only where the next module reads nothing else of them', () => {
  const [first, second, third] = digits().spec.modules as [never, never, never];
  const identity = { name: 'same', layers: [{ type: 'residual' as const, channels: 32 }] };
  const rectified = (modules: Run['spec']['modules']) =>
    planRun(digits({ modules }), local).modules.map(({ sink }) => sink?.rectified);
  expect(rectified([first, second, third])).toEqual([true, true, undefined]);
  expect(rectified([first, identity, second])).toEqual([false, true, undefined]);
});

test('a module uses its own objective, optimizer and batch size where it names them', () => {
  const run = digits();
  const [first, second] = run.spec.modules as [Run['spec']['modules'][0], never];
  const own = {
    objective: { type: 'classLabels' as const, classes: 10 },
    optimizer: { ...run.spec.optimizer, learningRate: 0.5 },
    batchSize: 64,
  };
  const { modules } = planRun(digits({ modules: [{ ...first, ...own }, second] }), local);
  expect(modules[0]).toMatchObject(own);
  expect(modules[1]).toMatchObject({ objective: { type: 'infoNCE' }, batchSize: 32 });
});

describe('the budget', () => {
  const budget = (training: Run['spec']['training'], dataSetSize?: number, data?: Data) =>
    planRun(digits({ training, ...(data && { data }) }), { ...local, dataSetSize }).modules[0]
      ?.budget;

  test('is rounded up to whole batches', () => {
    expect(budget({ samples: 64 })).toBe(64);
    expect(budget({ samples: 65 })).toBe(96);
  });

  test('in epochs counts samples of the data set', () => {
    expect(budget({ epochs: 0.5 }, 1000)).toBe(512);
  });

  test('in epochs knows the sizes of the releases that everybody has the same of', () => {
    expect(budget({ epochs: 2 })).toBe(16_000);
    expect(budget({ epochs: 1 }, undefined, { format: 'stl10', path: '/data' })).toBe(100_000);
  });

  test('in epochs counts the images with labels where the objective learns from them', () => {
    const objective = { type: 'predSim' as const, classes: 10 };
    const data = { format: 'stl10' as const, path: '/data' };
    const { modules } = planRun(digits({ training: { epochs: 1 }, data, objective }), local);
    expect(modules[0]?.budget).toBe(5024);
  });

  test('in epochs needs the size of any other data set', () => {
    const unknown = () => budget({ epochs: 2 }, undefined, { format: 'idx', path: '/data' });
    expect(unknown).toThrow(PlanError);
    expect(unknown).toThrow(/give training.samples/);
  });

  test('needs at least a batch in the data set, and the message names both numbers', () => {
    expect(() => budget({ samples: 64 }, 20)).toThrow(PlanError);
    expect(() => budget({ samples: 64 }, 20)).toThrow(/32.*20/);
  });
});

test('a relative data path is taken from the folder it is relative to, an absolute one stays', () => {
  const pathOf = (path: string) => {
    const run = digits({ data: { format: 'idx', path } });
    const [first] = planRun(run, { ...local, baseDir: '/base' }).modules;
    return first?.source.kind === 'data' ? first.source.data.path : undefined;
  };
  expect(pathOf('mnist')).toBe('/base/mnist');
  expect(pathOf('/data/mnist')).toBe('/data/mnist');
});

test('a data path stays as it is where no folder is given', () => {
  const [first] = planRun(digits({ data: { format: 'idx', path: 'mnist' } }), local).modules;
  expect(first?.source).toMatchObject({ data: { path: 'mnist' } });
});

test('consumers keep samples for reuse only where the run asks for it at all times', () => {
  const stores = (reuse: 'always' | 'whileWaiting') => {
    const buffers = { ...digits().spec.buffers, maxReuse: 2, reuse };
    return planRun(digits({ buffers }), local).modules[0]?.sink?.stores;
  };
  expect(stores('always')).toBe(true);
  expect(stores('whileWaiting')).toBeUndefined();
});

test('a module has at most as many replicas as an edge of large samples has shares', () => {
  const planned = (replicas: number) => {
    const run = example('stl10-resnet50.yaml');
    const modules = run.spec.modules.map((module, i) =>
      i === 1 ? { ...module, replicas } : module,
    );
    const buffers = { ...run.spec.buffers, encoding: 'float32' as const };
    const spec = { ...run.spec, modules, buffers, training: { samples: 1 } };
    return () => planRun({ ...run, spec }, local);
  };
  expect(planned(8)).not.toThrow();
  expect(planned(9)).toThrow(
    expect.objectContaining({
      name: 'PlanError',
      message:
        'module stage2 has 9 replicas, but samples of 12845056 bytes can be shared by 8; make replicas at most 8',
    }),
  );
  const small = digits();
  const modules = small.spec.modules.map((module) => ({ ...module, replicas: 9 }));
  expect(() => planRun(digits({ modules }), local)).not.toThrow();
});

test('checkpoints lie in a bucket of this very run on a cluster, and in a folder on one machine', () => {
  const checkpoints = { everySeconds: 60, keep: 3, storage: { objectStore: {} } };
  const onCluster = planRun(digits({ checkpoints }), { ...local, storage: true });
  expect(onCluster.bucket).toEqual({
    name: 'OBJ_gim_local_digits_a',
    bucket: 'gim_local_digits_a',
    uid: 'a',
    retain: false,
  });
  for (const module of onCluster.modules) {
    expect(moduleConfigSchema.parse(module).checkpoints).toEqual(checkpoints);
  }
  const here = planRun(digits({ checkpoints }), local);
  expect(here.bucket).toBeNull();
  expect(here.modules[0]?.checkpoints).toEqual({ everySeconds: 60, keep: 3 });
});
