import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeEvaluationResult, EXIT, type ModuleConfig, parseRun } from '@greedy-infomax/crds';
import { connect } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planRun } from '../../../operator/src/plan/run.ts';
import { planBucket } from '../../../operator/src/plan/stream.ts';
import { startNats } from '../../../test/support/nats.ts';
import { CheckpointBucket } from '../checkpoint/bucket.ts';
import { configHash } from '../checkpoint/config-hash.ts';
import type { CheckpointFiles } from '../checkpoint/files.ts';
import { CheckpointStore } from '../checkpoint/store.ts';
import { moduleWeights } from '../module/program.ts';

/** Evaluates a run as a pod does: configurations in one folder, checkpoints in a folder per trainer. */

const RUN = `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: small }
spec:
  data: { format: digits }
  augmentation: { pad: 0, crop: 24 }
  patches: { size: 8, stride: 8 }
  modules:
    - { name: first, layers: [{ type: conv, channels: 4, stride: 2 }] }
    - { name: second, layers: [{ type: conv, channels: 8, stride: 2 }] }
  objective: { type: infoNCE, predictionSteps: 1 }
  training: { samples: 640 }
  evaluation: { epochs: 2, learningRate: 0.01 }
`;

let folder: string;
let modules: ModuleConfig[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'greedy-infomax-evaluate-'));
  modules = planRun(parseRun(RUN, 'run.yaml'), { namespace: 'team', uid: '1' }).modules;
  for (const module of modules) {
    mkdirSync(join(folder, 'config', module.name), { recursive: true });
    writeFileSync(join(folder, 'config', module.name, 'module.json'), JSON.stringify(module));
  }
  // The kubelet lays out a ConfigMap volume like this.
  mkdirSync(join(folder, 'config/..2026_01_01'));
  writeFileSync(join(folder, 'result'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes a checkpoint of the module's initial weights, as its trainer `replica` does. */
async function checkpoint(module: ModuleConfig, replica: number, step: number): Promise<void> {
  const place = join(folder, 'checkpoints', module.name, `replica-${replica}`);
  mkdirSync(place, { recursive: true });
  await save(place, module, step);
}

async function save(
  place: string | CheckpointFiles,
  module: ModuleConfig,
  step: number,
): Promise<void> {
  const weights = Object.entries(moduleWeights(module));
  const tensors = Object.fromEntries(
    weights.map(([name, { shape, values }]) => [
      name,
      { dtype: 'F32' as const, shape: [...shape], data: Float32Array.from(values) },
    ]),
  );
  const store = new CheckpointStore(place, { keep: 3, configHash: configHash(module) });
  await store.save({ step, samples: 32 * step, tensors, state: {} });
}

let environment: Record<string, string> = {};

function evaluateModules(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const program = join(import.meta.dirname, 'main.ts');
  return new Promise((done) => {
    const env = { ...process.env, ...environment };
    execFile(process.execPath, [program, ...args], { env }, (error, stdout, stderr) =>
      done({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

const inPod = () =>
  evaluateModules(
    ...['--config', join(folder, 'config')],
    ...['--checkpoints', join(folder, 'checkpoints')],
    ...['--result', join(folder, 'result')],
  );

it('leaves the accuracies behind, of the newest checkpoint of whichever replica', async () => {
  for (const module of modules) await checkpoint(module, 0, 3);
  await checkpoint(modules[0] as ModuleConfig, 1, 9);
  const { code, stdout, stderr } = await inPod();
  expect(code, stderr).toBe(EXIT.ok);
  const result = decodeEvaluationResult(readFileSync(join(folder, 'result'), 'utf8'));
  expect(result?.samples).toBe(96);
  expect(Object.keys(result?.modules ?? {})).toEqual(['first', 'second']);
  // The checkpoints hold the initial weights.
  for (const [accuracy, untrained] of Object.values(result?.modules ?? {})) {
    expect(accuracy).toBe(untrained);
    expect(accuracy).toBeGreaterThan(0.12); // chance is 0.1
  }
  expect(stdout.trim().split('\n')).toHaveLength(2);
});

it('leaves them behind from checkpoints in the bucket of the run', async () => {
  const nats = await startNats();
  const connection = await connect({ servers: nats.url });
  environment = { NATS_URL: nats.url };
  try {
    const run = { namespace: 'team', name: 'small', uid: '1' };
    await ensureStreams(connection, [planBucket(run, false)]);
    const bucket = await CheckpointBucket.open(connection, run);
    for (const module of modules) {
      module.checkpoints.storage = { objectStore: {} };
      writeFileSync(join(folder, 'config', module.name, 'module.json'), JSON.stringify(module));
      await save(bucket.files(module.name, 0), module, 3);
    }
    await save(bucket.files('first', 1), modules[0] as ModuleConfig, 9);
    const { code, stderr } = await evaluateModules(
      ...['--config', join(folder, 'config'), '--result', join(folder, 'result')],
    );
    expect(code, stderr).toBe(EXIT.ok);
    const result = decodeEvaluationResult(readFileSync(join(folder, 'result'), 'utf8'));
    expect(result?.samples).toBe(96);
    expect(Object.keys(result?.modules ?? {})).toEqual(['first', 'second']);
  } finally {
    environment = {};
    await connection.close();
    await nats.stop();
  }
});

it('names the module that has no checkpoint, and may be tried again', async () => {
  await checkpoint(modules[0] as ModuleConfig, 0, 3);
  const { code, stderr } = await inPod();
  expect(stderr.trim().split('\n').at(-1)).toMatch(/module second has no checkpoint in .*second/);
  expect(code).toBe(EXIT.retry);
  expect(readFileSync(join(folder, 'result'), 'utf8')).toBe('');
});

it('is not to be tried again with checkpoints of another module', async () => {
  const [first, second] = modules as [ModuleConfig, ModuleConfig];
  await checkpoint(first, 0, 3);
  await checkpoint({ ...second, seed: 9 }, 0, 3);
  const { code, stderr } = await inPod();
  expect(stderr).toMatch(/is of a module with other layers/);
  expect(code).toBe(EXIT.configuration);
});

it('leaves the same in the folder of a run on a volume', async () => {
  for (const module of modules) {
    await checkpoint(module, 0, 3);
    const place = join(folder, 'checkpoints', module.name, 'replica-0');
    writeFileSync(join(place, 'module.json'), JSON.stringify(module));
  }
  const { code, stderr } = await evaluateModules('--out', join(folder, 'checkpoints'));
  expect(code, stderr).toBe(EXIT.ok);
  const found = JSON.parse(readFileSync(join(folder, 'checkpoints/evaluation.json'), 'utf8'));
  expect(found.modules.map(({ name }: { name: string }) => name)).toEqual(['first', 'second']);
});

it('leaves the same in the folder of a run on one machine', async () => {
  for (const module of modules) {
    const place = join(folder, 'modules', module.name);
    mkdirSync(join(folder, 'modules'), { recursive: true });
    await checkpoint(module, 0, 3);
    mkdirSync(place);
    writeFileSync(join(place, 'module.json'), JSON.stringify(module));
    const from = join(folder, 'checkpoints', module.name, 'replica-0');
    for (const name of ['checkpoint-000000003.safetensors']) {
      writeFileSync(join(place, name), readFileSync(join(from, name)));
    }
  }
  const { code, stderr } = await evaluateModules('--out', folder);
  expect(code, stderr).toBe(EXIT.ok);
  const { samples, modules: found } = JSON.parse(
    readFileSync(join(folder, 'evaluation.json'), 'utf8'),
  );
  expect(samples).toBe(96);
  expect(found.map(({ name }: { name: string }) => name)).toEqual(['first', 'second']);
  expect(existsSync(join(folder, 'evaluation.json.tmp'))).toBe(false);
});
