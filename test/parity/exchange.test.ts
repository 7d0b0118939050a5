import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Layer, parseRun } from '@greedy-infomax/crds';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { planRun } from '../../operator/src/plan/run.ts';
import { exportEncoder } from '../../trainer/src/checkpoint/export.ts';
import { importWeights } from '../../trainer/src/checkpoint/import.ts';
import { newestCheckpoint } from '../../trainer/src/checkpoint/newest.ts';
import {
  decodeSafetensors,
  encodeSafetensors,
  type StoredTensor,
} from '../../trainer/src/checkpoint/safetensors.ts';
import { fromTorch, toTorch } from '../../trainer/src/checkpoint/torch.ts';
import { encode, encoderParameters } from '../../trainer/src/model/encoder.ts';
import { Program } from '../../trainer/src/step/program.ts';
import type { Tensor, Values } from '../../trainer/src/tf.ts';
import { ADAM, difference, TOLERANCE } from './fixture.ts';

/**
 * Weights named as in PyTorch are imported and exported; `make_exchange_fixtures.py` created them
 * and their expected outputs.
 */

const { tensors } = decodeSafetensors(
  readFileSync(join(import.meta.dirname, 'fixtures/exchange.safetensors')),
);
const under = (prefix: string) =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
const tensor = (name: string): StoredTensor => tensors[name] as StoredTensor;

const RUN = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: exchange }
spec:
  data: { format: digits }
  augmentation: { crop: 28 }
  patches: { size: 8, stride: 4 }
  modules:
    - name: first
      layers: [{ type: conv, channels: 4, kernel: 5 }, { type: bottleneck, channels: 2, repeat: 2 }]
    - name: second
      layers: [{ type: residual, channels: 6, stride: 2, repeat: 2 }]
  objective: { type: infoNCE, predictionSteps: 2 }
  training: { samples: 640 }
`;
const modules = planRun(parseRun(RUN, 'run.yaml'), { namespace: 'local', uid: 'a' }).modules;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exchange-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, of: Record<string, StoredTensor>): string {
  const file = join(folder, name);
  writeFileSync(file, encodeSafetensors({ tensors: of, metadata: {} }));
  return file;
}

const prefixed = (prefix: string, of: Record<string, StoredTensor>) =>
  Object.fromEntries(Object.entries(of).map(([name, value]) => [prefix + name, value]));

/** Output of `layers` with these weights for input `x`. */
function outputOf(
  layers: readonly Layer[],
  weights: Record<string, StoredTensor>,
  { shape, data }: StoredTensor,
): Values {
  const program = Program.compile({
    weights: Object.fromEntries(
      Object.entries(weights).map(([name, value]) => [
        name,
        { shape: value.shape, values: value.data as Float32Array },
      ]),
    ),
    optimizer: ADAM,
    functions: {
      encode: {
        inputs: { x: { shape, dtype: 'float32' } },
        build: ({ x }, all) => ({ z: encode(layers, all, x as Tensor) }),
      },
    },
  });
  const { z } = program.run('encode', { x: data as Float32Array });
  program.dispose();
  return z as Values;
}

async function expectOutputs(out: string): Promise<void> {
  for (const [i, module] of modules.entries()) {
    const { tensors: weights } = await newestCheckpoint(module, join(out, 'modules', module.name));
    const x = tensor(i === 0 ? 'patches' : 'm0.output');
    const z = outputOf(module.layers, weights, x);
    expect(difference(z, tensor(`m${i}.output`).data as Values), module.name).toBeLessThan(
      TOLERANCE,
    );
  }
}

const imported = (...files: string[]) =>
  importWeights({ modules, files, out: join(folder, 'out') });

describe('weights of PyTorch', () => {
  it('compute the same outputs here, and are exported unchanged', async () => {
    const all = {
      ...prefixed('first.', under('m0.torch.')),
      ...prefixed('second.', under('m1.torch.')),
    };
    const results = await imported(write('all', all));
    expect(results).toEqual([
      { module: 'first', tensors: 18, missing: [], unused: [] },
      { module: 'second', tensors: 12, missing: [], unused: [] },
    ]);
    await expectOutputs(join(folder, 'out'));
    const file = join(folder, 'back');
    await exportEncoder({ out: join(folder, 'out'), file, objectives: true, format: 'pytorch' });
    const back = decodeSafetensors(readFileSync(file));
    expect(back.tensors).toEqual(all);
    expect(back.metadata.layout).toBe('pytorch');
  });

  it('of temporal convolutions and gated recurrent units also match', () => {
    const layers: Layer[] = [
      { type: 'conv1d', channels: 5, kernel: 4, stride: 2, padding: 1, activation: 'relu' },
      { type: 'gru', channels: 3 },
    ];
    const shapes = Object.fromEntries(
      encoderParameters(layers, [16, 1, 2]).map(({ name, shape }) => [name, shape]),
    );
    const { found, missing, unused } = fromTorch(under('speech.torch.'), shapes, layers);
    expect({ missing, unused }).toEqual({ missing: [], unused: [] });
    const z = outputOf(layers, found, tensor('sound'));
    expect(difference(z, tensor('speech.output').data as Values)).toBeLessThan(TOLERANCE);
    expect(toTorch(found, layers)).toEqual(under('speech.torch.'));
  });
});

describe('checkpoints of the reference', () => {
  it('are imported from one file per module', async () => {
    const files = [0, 1].map((i) => write(`model_${i}`, under(`m${i}.reference.`)));
    const results = await imported(...files);
    expect(results.map(({ tensors: count }) => count)).toEqual([18, 12]);
    expect(results.flatMap(({ missing, unused }) => [...missing, ...unused])).toEqual([]);
    await expectOutputs(join(folder, 'out'));
  });

  it('are imported from one file of the whole model', async () => {
    const whole = {
      ...prefixed('module.encoder.0.', under('m0.reference.')),
      ...prefixed('module.encoder.1.', under('m1.reference.')),
    };
    await imported(write('model', whole));
    await expectOutputs(join(folder, 'out'));
  });

  it('may lack the matrices of the objective and contain unused ones', async () => {
    const without = Object.fromEntries(
      Object.entries(under('m1.reference.')).filter(([name]) => !name.startsWith('loss.')),
    );
    const more = { ...without, 'loss.linear.weight': tensor('patches') };
    const results = await imported(write('a', under('m0.reference.')), write('b', more));
    expect(results[1]).toEqual({
      module: 'second',
      tensors: 10,
      missing: ['objective.k1.weight', 'objective.k2.weight'],
      unused: ['loss.linear.weight'],
    });
    await expectOutputs(join(folder, 'out'));
  });
});

describe('an import is refused and leaves nothing behind,', () => {
  const refused = async (files: Record<string, StoredTensor>[], why: RegExp) => {
    const written = files.map((of, i) => write(`file-${i}`, of));
    await expect(imported(...written)).rejects.toThrow(why);
    expect(readdirSync(folder)).not.toContain('out');
  };

  it('when a weight is missing', () => {
    const { 'model.Conv1.bias': _, ...rest } = under('m0.reference.');
    return refused(
      [rest, under('m1.reference.')],
      /file-0 does not fit module first: it lacks layers\.0\.bias/,
    );
  });

  it('when a weight has another shape', () => {
    const wrong = { ...under('m1.torch.'), 'layers.0.0.conv1.bias': tensor('patches') };
    return refused(
      [under('m0.torch.'), wrong],
      /module second: layers\.0\.0\.conv1\.bias has the shape \[6, 8, 8, 1\]; the run's layer has \[6\]/,
    );
  });

  it('when the number of files fits no layout', () =>
    refused(
      [under('m0.torch.'), under('m1.torch.'), {}],
      /3 files for 2 modules \(first, second\); give one for each in this order, or one with all/,
    ));
});
