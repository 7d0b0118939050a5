import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModuleConfig, moduleConfigSchema } from '@greedy-infomax/crds';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configHash } from './config-hash.ts';
import { CheckpointError } from './errors.ts';
import { exportEncoder } from './export.ts';
import { decodeSafetensors, type StoredTensor } from './safetensors.ts';
import { CheckpointStore } from './store.ts';

let out: string;
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'export-'));
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

const moduleConfig = (name: string, index: number): ModuleConfig =>
  moduleConfigSchema.parse({
    run: { namespace: 'local', name: 'trial' },
    uid: 'u',
    name,
    index,
    seed: 1,
    source: {
      kind: 'data',
      data: { format: 'digits' },
      augmentation: { crop: 28 },
      patches: { size: 8, stride: 4 },
    },
    grid: [6, 6],
    input: [36, 8, 8, 1],
    output: [36, 8, 8, 2],
    layers: [{ type: 'conv', channels: 2 }],
    objective: { type: 'infoNCE', predictionSteps: 2, negatives: 4, skip: 1 },
    optimizer: { type: 'adam' },
    batchSize: 4,
    budget: 100,
    sink: null,
    checkpoints: {},
    averaging: {},
    evaluation: {},
  });

const f32 = (shape: number[], first: number): StoredTensor => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from({ length: shape.reduce((n, size) => n * size, 1) }, (_, i) => first + i),
});

const weights = {
  'layers.0.weight': f32([3, 3, 1, 2], 0.25),
  'layers.0.bias': f32([2], -1),
  'objective.k1.weight': f32([2, 2], 5),
  'adam.m.layers.0.bias': f32([2], 7),
  'adam.v.layers.0.bias': f32([2], 8),
};

/** A run folder with one module; returns the folder of the module. */
function writeModule(name: string, index: number): string {
  const folder = join(out, 'modules', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'module.json'), JSON.stringify(moduleConfig(name, index)));
  return folder;
}

async function writeTrained(name: string, index: number, ...steps: number[]): Promise<void> {
  const folder = writeModule(name, index);
  const store = new CheckpointStore(folder, {
    keep: 3,
    configHash: configHash(moduleConfig(name, index)),
  });
  for (const step of steps) {
    await store.save({ step, samples: step * 4, tensors: weights, state: { progress: '{"a":1}' } });
  }
}

/** Reads the file with Python's safetensors. */
function readWithPython(file: string) {
  const script = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework='numpy') as f:
    print(json.dumps({'metadata': f.metadata(), 'tensors': {k: {'dtype': str(f.get_tensor(k).dtype),
        'shape': list(f.get_tensor(k).shape), 'data': f.get_tensor(k).ravel().tolist()} for k in f.keys()}}))`;
  const python = join(import.meta.dirname, '../../../node_modules/.python');
  const text = execFileSync('python3', ['-c', script, file], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: python },
  });
  return JSON.parse(text) as {
    metadata: Record<string, string>;
    tensors: Record<string, { dtype: string; shape: number[]; data: number[] }>;
  };
}

const asRead = (tensors: Record<string, StoredTensor>, prefix = '') =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [
      prefix + name,
      { dtype: 'float32', shape, data: Array.from(data as Float32Array) },
    ]),
  );

describe('an export', () => {
  it('contains the encoder of every module and its origin, readable in Python', async () => {
    await writeTrained('late', 1, 3);
    await writeTrained('early', 0, 5, 6);
    const file = join(out, 'sub', 'encoder.safetensors');
    const { tensors, bytes } = await exportEncoder({ out, file });

    expect({ tensors, bytes }).toEqual({ tensors: 4, bytes: readFileSync(file).length });
    const read = readWithPython(file);
    const { 'layers.0.weight': weight, 'layers.0.bias': bias } = weights;
    const encoder = { 'layers.0.weight': weight, 'layers.0.bias': bias };
    expect(read.tensors).toEqual({ ...asRead(encoder, 'early.'), ...asRead(encoder, 'late.') });
    expect(read.metadata).toMatchObject({ format: 'greedy-infomax-encoder/1', run: 'trial' });
    const { layers, input, output } = moduleConfig('early', 0);
    expect(JSON.parse(read.metadata.modules ?? '')).toEqual([
      { name: 'early', layers, input, output, step: 6 },
      { name: 'late', layers, input, output, step: 3 },
    ]);
  });

  it('lists modules in network order, not by name', async () => {
    await writeTrained('a', 2, 1);
    await writeTrained('b', 0, 1);
    await writeTrained('c', 1, 1);
    const file = join(out, 'encoder.safetensors');
    await exportEncoder({ out, file });
    const modules: { name: string }[] = JSON.parse(readWithPython(file).metadata.modules ?? '');
    expect(modules.map(({ name }) => name)).toEqual(['b', 'c', 'a']);
  });

  it('has the layout of TensorFlow, or of PyTorch when asked for it', async () => {
    await writeTrained('only', 0, 1);
    const file = join(out, 'encoder.safetensors');
    const read = async (format?: 'pytorch') => {
      await exportEncoder({ out, file, format });
      const { tensors, metadata } = decodeSafetensors(readFileSync(file));
      return [metadata.layout, tensors['only.layers.0.weight']?.shape];
    };
    expect(await read()).toEqual(['tensorflow', [3, 3, 1, 2]]);
    expect(await read('pytorch')).toEqual(['pytorch', [2, 1, 3, 3]]);
  });

  it('contains the heads of the objectives if requested', async () => {
    await writeTrained('only', 0, 1);
    const file = join(out, 'encoder.safetensors');
    await exportEncoder({ out, file, objectives: true });
    expect(Object.keys(decodeSafetensors(readFileSync(file)).tensors).sort()).toEqual([
      'only.layers.0.bias',
      'only.layers.0.weight',
      'only.objective.k1.weight',
    ]);
  });

  it('reads a run on a volume with the newest checkpoint of all replicas of each module', async () => {
    for (const [place, step] of [
      ['early/replica-0', 4],
      ['early/replica-1', 9],
      ['late/replica-0', 3],
    ] as const) {
      const [name = '', replica = ''] = place.split('/');
      const config = moduleConfig(name, name === 'early' ? 0 : 1);
      const store = new CheckpointStore(join(out, place), {
        keep: 3,
        configHash: configHash(config),
      });
      await store.save({ step, samples: step * 4, tensors: weights, state: {} });
      if (replica === 'replica-0') {
        writeFileSync(join(out, place, 'module.json'), JSON.stringify(config));
      }
    }
    const file = join(out, 'encoder.safetensors');
    await exportEncoder({ out, file });
    const { tensors, metadata } = decodeSafetensors(readFileSync(file));
    expect(Object.keys(tensors)).toHaveLength(4);
    expect(JSON.parse(metadata.modules ?? '')).toMatchObject([
      { name: 'early', step: 9 },
      { name: 'late', step: 3 },
    ]);
  });

  it('names the module that has no checkpoint', async () => {
    await writeTrained('early', 0, 1);
    writeModule('late', 1);
    const written = exportEncoder({ out, file: join(out, 'x') });
    await expect(written).rejects.toThrow(CheckpointError);
    await expect(written).rejects.toThrow(/module late has no checkpoint in .*late/);
  });

  it('reports why the only checkpoint is invalid', async () => {
    await writeTrained('early', 0, 1);
    truncateSync(join(out, 'modules/early/checkpoint-000000001.safetensors'), 0);
    await expect(exportEncoder({ out, file: join(out, 'x') })).rejects.toThrow(
      /000000001\.safetensors is damaged: the file has 0 bytes/,
    );
  });

  it('refuses a folder that is not a run', async () => {
    await expect(exportEncoder({ out, file: join(out, 'x') })).rejects.toThrow(
      /holds neither modules\/NAME\/module\.json nor .*; give the --out/,
    );
  });
});

describe('a checkpoint', () => {
  it('is read by Python with equal numbers', async () => {
    await writeTrained('early', 0, 2);
    const read = readWithPython(join(out, 'modules/early/checkpoint-000000002.safetensors'));
    expect(read.tensors).toEqual(asRead(weights));
    expect(read.metadata).toMatchObject({
      format: 'greedy-infomax-checkpoint/1',
      step: '2',
      samples: '8',
      state: '{"progress":"{\\"a\\":1}"}',
      configHash: configHash(moduleConfig('early', 0)),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });
});
