import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Encoding, parseRun, type Run } from '@greedy-infomax/crds';
import { describe, expect, test } from 'vitest';
import { moduleWeights } from '../../../trainer/src/module/program.ts';
import { planRun } from './run.ts';
import { sizeRun } from './sizing.ts';

const folder = join(import.meta.dirname, '../../../examples');
const example = (name: string, change: Partial<Run['spec']> = {}): Run => {
  const run = parseRun(readFileSync(join(folder, name), 'utf8'), name);
  return { ...run, spec: { ...run.spec, ...change } };
};
const sizing = (run: Run, samplesPerSecond?: number) =>
  sizeRun(planRun(run, { namespace: 'local', uid: 'a' }), samplesPerSecond);

const RESNET = 'stl10-resnet50.yaml';
const withEncoding = (encoding: Encoding) => {
  const { buffers } = example(RESNET).spec;
  return example(RESNET, { buffers: { ...buffers, encoding } });
};

/** Values of all tensors that a trainer of each module makes. */
function trained(run: Run): number[] {
  const { modules } = planRun(run, { namespace: 'local', uid: 'a' });
  return modules.map((module) =>
    Object.values(moduleWeights(module)).reduce((sum, { values }) => sum + values.length, 0),
  );
}

test.each(['digits.yaml', RESNET, 'synthetic-speech.yaml', 'small/cpc.yaml', 'small/predsim.yaml'])(
  'examples/%s has as many parameters as its trainers make',
  (name) => {
    const run = example(name, { training: { samples: 1 } });
    const counted = sizing(run).modules.map(
      ({ parameters, objectiveParameters }) => parameters + objectiveParameters,
    );
    expect(counted).toEqual(trained(run));
  },
);

test('the six modules of examples/librispeech.yaml have the parameters of the paper', () => {
  const { modules } = sizing(example('librispeech.yaml'));
  expect(modules.map(({ parameters }) => parameters)).toEqual([
    5_632, 2_097_664, 1_049_088, 1_049_088, 1_049_088, 591_360,
  ]);
  const ahead = 512 * 512 * 12; // a map for each step ahead, without biases
  expect(modules.map(({ objectiveParameters }) => objectiveParameters)).toEqual([
    ...[ahead, ahead, ahead, ahead, ahead],
    ahead / 2,
  ]);
});

describe('a module', () => {
  const [stage1, , stage3] = sizing(example(RESNET)).modules;

  test('has the parameters of its encoder and, beside them, those of its objective', () => {
    expect(stage1).toMatchObject({ parameters: 216_064, objectiveParameters: 5 * 256 ** 2 });
    expect(stage3).toMatchObject({ parameters: 7_088_128, objectiveParameters: 5 * 1024 ** 2 });
  });

  test('has a checkpoint of three floats for each of them', () => {
    expect(stage1?.checkpointBytes).toBe(12 * (216_064 + 5 * 256 ** 2));
  });

  test('computes all patches of a sample', () => {
    const [whole] = sizing(example('digits.yaml')).modules;
    const half = example('digits.yaml', { patches: { size: 8, stride: 12 } });
    expect(whole?.output[0]).toBe(49);
    expect(sizing(half).modules[0]?.output[0]).toBe(9);
    expect(sizing(half).modules[0]?.macsPerSample).toBe(((whole?.macsPerSample ?? 0) * 9) / 49);
  });
});

describe('a buffer', () => {
  test('of large samples takes several messages for each', () => {
    const [edge] = sizing(withEncoding('float32')).edges;
    expect(edge).toMatchObject({
      from: 'stage1',
      to: 'stage2',
      shape: [49, 16, 16, 256],
      sampleBytes: 49 * 16 * 16 * 256 * 4,
      messagesPerSample: 13,
    });
  });

  test('of small samples has several of a batch in a message', () => {
    const [edge] = sizing(example('digits.yaml')).edges;
    expect(edge?.messagesPerSample).toBe(1 / 10);
    const small = example('digits.yaml', { batchSize: 2 });
    expect(sizing(small).edges[0]?.messagesPerSample).toBe(1 / 2);
  });

  test('takes what its stream may hold', () => {
    const plan = planRun(example(RESNET), { namespace: 'local', uid: 'a' });
    expect(sizeRun(plan).edges.map((edge) => edge.bufferBytes)).toEqual(
      plan.streams.map(({ maxBytes }) => maxBytes),
    );
  });

  test('carries as many bytes a second as samples are made, headers included', () => {
    const [edge] = sizing(withEncoding('int8'), 10).edges;
    expect(edge?.bytesPerSecond).toBe(10 * (49 * 16 * 16 * 256 + 8 * 256 + 4 * 96));
    expect(sizing(withEncoding('int8')).edges[0]?.bytesPerSecond).toBeNull();
  });
});

describe('NATS', () => {
  test('needs twice the buffers and half a gibibyte', () => {
    const { nats, edges } = sizing(example(RESNET));
    const buffers = edges.reduce((sum, { bufferBytes }) => sum + bufferBytes, 0);
    expect(nats.bufferBytes).toBe(buffers);
    expect(nats.memoryBytes).toBe(2 * buffers + 0.5 * 1024 ** 3);
  });

  test('carries the samples of all buffers', () => {
    const { nats, edges } = sizing(example(RESNET), 10);
    const traffic = edges.reduce((sum, { bytesPerSecond }) => sum + (bytesPerSecond ?? 0), 0);
    expect(nats.bytesPerSecond).toBe(traffic);
    expect(nats.bytesPerSample).toBe(traffic / 10);
  });

  test('has nothing to do for a single module', () => {
    const [first] = example('digits.yaml').spec.modules;
    const alone = sizing(example('digits.yaml', { modules: first ? [first] : [] }), 1e9);
    expect(alone).toMatchObject({ edges: [], warnings: [], nats: { bytesPerSecond: 0 } });
  });
});

describe('warnings', () => {
  test('there are none without a rate, or at one that a server and the trainers bear', () => {
    expect(sizing(example(RESNET)).warnings).toEqual([]);
    expect(sizing(example(RESNET), 100).warnings).toEqual([]);
  });

  test('name the total when one server will not do', () => {
    expect(sizing(example(RESNET), 210).warnings).toEqual([
      expect.stringMatching(/carry 1\.0 GB\/s.*one NATS server/),
    ]);
  });

  test('name the module that cannot take what it would get, and the encoding that sends fewer bytes', () => {
    const first = (encoding: Encoding, rate: number) =>
      sizing(withEncoding(encoding), rate).warnings[0];
    expect(first('int8', 250)).toMatch(/^stage2 .*0\.80 GB\/s from stage1.*encoding int4/);
    expect(first('float32', 250)).toContain('encoding int8');
    expect(first('int4', 500)).toMatch(/^stage2 .*0\.80 GB\/s from stage1/);
    expect(first('int4', 500)).not.toContain('encoding');
  });

  test('name a sample that no message can describe', () => {
    const [first, second] = example('digits.yaml').spec.modules;
    if (!first || !second) throw new Error('examples/digits.yaml has three modules');
    const huge = example('digits.yaml', {
      augmentation: { pad: 0, crop: 512, flip: false, grayscale: true },
      data: { format: 'images', path: '/data' },
      patches: { size: 512, stride: 512 },
      modules: [{ ...first, layers: [{ type: 'conv', channels: 8192 }] }, second],
      buffers: {
        depth: 32,
        encoding: 'float32',
        whenFull: 'dropOldest',
        maxReuse: 0,
        reuse: 'whileWaiting',
      },
    });
    expect(sizing(huge).warnings[0]).toMatch(/a sample behind edges has 8589934592 bytes; at most/);
  });
});
