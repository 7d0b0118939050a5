import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ModuleConfig, Report } from '@greedy-infomax/crds';
import type { HistoryLine } from '../run-files.ts';

/** Creates run folders for tests. */

export interface TestModule {
  config: ModuleConfig;
  history: HistoryLine[];
}

/** Creates a folder with `modules`, as a run writes it. */
export function makeRunFolder(
  modules: readonly TestModule[],
  files: Record<string, string | Uint8Array> = {},
): string {
  const out = mkdtempSync(join(tmpdir(), 'report-'));
  for (const { config, history } of modules) {
    const folder = join(out, 'modules', config.name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'module.json'), JSON.stringify(config));
    writeFileSync(
      join(folder, 'history.jsonl'),
      history.map((line) => `${JSON.stringify(line)}\n`).join(''),
    );
  }
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(out, name)), { recursive: true });
    writeFileSync(join(out, name), content);
  }
  return out;
}

export function makeConfig(name: string, index: number, changes: Partial<ModuleConfig> = {}) {
  const edge = {
    stream: `GIM_local_digits_${name}`,
    subject: `gim.local.digits.a1.edge.${name}`,
    consumer: name,
    encoding: 'int8',
    rectified: false,
    shape: [49, 4, 4, 32],
    sampleBytes: 25_344,
    depth: 256,
    whenFull: 'dropOldest',
    maxReuse: 3,
  } as const;
  const config: ModuleConfig = {
    run: { namespace: 'local', name: 'digits' },
    uid: 'a1',
    name,
    index,
    seed: 2,
    source:
      index === 0
        ? {
            kind: 'data',
            data: { format: 'digits' },
            augmentation: { pad: 2, crop: 28, flip: false, grayscale: false },
            patches: { size: 8, stride: 4 },
          }
        : { kind: 'edge', edge: { ...edge, shape: [49, 4, 4, 32] } },
    grid: [7, 7],
    input: [49, 8, 8, 1],
    output: [49, 4, 4, 32],
    layers: [
      { type: 'conv', channels: 32, stride: 2, activation: 'relu' },
      { type: 'residual', channels: 32, repeat: 2 },
    ],
    objective: { type: 'infoNCE', predictionSteps: 3, skip: 1, negatives: 16 },
    optimizer: { type: 'adam', learningRate: 2e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    batchSize: 32,
    budget: 60_000,
    precision: 'float32',
    order: 'simultaneous',
    averaging: {
      rule: 'average',
      everySteps: 50,
      pull: 0.5,
      outerLearningRate: 0.7,
      outerMomentum: 0.9,
    },
    sink: { ...edge, shape: [49, 4, 4, 32] },
    checkpoints: { everySeconds: 60, keep: 3 },
    evaluation: { epochs: 100, batchSize: 128, learningRate: 1e-3 },
    ...changes,
  };
  return config;
}

/** Returns `count` lines, one per second. Their values grow with `index`, the position of the module. */
export const makeHistory = (count: number, index: number): HistoryLine[] =>
  Array.from({ length: count }, (_, i) => {
    const wave = Math.sin(i * 1.7 + index) + Math.sin(i * 0.31);
    return {
      step: 20 * (i + 1),
      samples: 640 * (i + 1),
      loss: 1.1 + index * 0.15 + 1.7 * Math.exp(-i / 18) + wave * 0.02,
      samplesPerSecond: 640 - 40 * index + wave * 12,
      stalenessSteps:
        index === 0 ? null : { p50: 3 * index + (i % 3), p95: 8 * index + Math.abs(wave) * 3 },
      stalenessSeconds: index === 0 ? null : { p50: 0.2, p95: 0.5 },
      samplesDropped: 5 * i * index,
      samplesReused: index * i,
      memoryBytes: 500_000_000 + 100_000_000 * index + 1000 * i,
      at: 1_700_000_000_000 + 1000 * i,
    };
  });

export const makeReport = (module: string, changes: Partial<Report> = {}): Report => ({
  run: 'digits',
  module,
  replica: 0,
  phase: 'finished',
  step: 1875,
  samplesTrained: 60_000,
  samplesTotal: 60_000,
  loss: 1.104,
  lossFirst: 2.831,
  samplesPerSecond: 0,
  stalenessSteps: null,
  stalenessSeconds: null,
  samplesDropped: 0,
  samplesReused: 0,
  checkpointStep: 1875,
  at: 1_700_000_100_000,
  ...changes,
});
