import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  decodeTrainerEnding,
  EXIT,
  type ModuleConfig,
  parseRun,
  provesCompletion,
} from '@greedy-infomax/crds';
import { connect } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureStreams } from '../../../operator/src/nats/streams.ts';
import { planRun } from '../../../operator/src/plan/run.ts';
import { startNats, type TestNats } from '../../../test/support/nats.ts';
import { decodeSafetensors } from '../checkpoint/safetensors.ts';
import { openBatches } from '../data/batches.ts';
import { compileModule } from '../module/program.ts';
import { stepSeed } from '../module/step.ts';
import { distance } from '../step/testing/tensors.ts';

const RUN = (samples: number) => `apiVersion: greedyinfomax.dev/v1alpha1
kind: GreedyInfoMaxRun
metadata: { name: small }
spec:
  data: { format: digits }
  augmentation: { crop: 28 }
  patches: { size: 4, stride: 4 }
  modules: [{ name: first, layers: [{ type: conv, channels: 4 }] }]
  objective: { type: infoNCE }
  batchSize: 32
  training: { samples: ${samples} }
`;

let folder: string;
let nats: TestNats;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'greedy-infomax-ending-'));
  nats = await startNats();
});
afterEach(async () => {
  await nats.stop();
  rmSync(folder, { recursive: true });
});

/** Trains a module on `samples`; `onLog` gets the log so far. Returns the exit code and the ending. */
async function trainOn(samples: number, onLog: (log: string, stop: () => void) => void = () => {}) {
  const plan = planRun(parseRun(RUN(samples), 'run.yaml'), { namespace: 'team', uid: 'uid-1' });
  const connection = await connect({ servers: nats.url });
  await ensureStreams(connection, [plan.state]);
  await connection.close();
  writeFileSync(join(folder, 'module.json'), JSON.stringify(plan.modules[0]));
  return runTrainer(['--config', join(folder, 'module.json')], onLog);
}

async function runTrainer(
  args: string[],
  onLog: (log: string, stop: () => void) => void = () => {},
) {
  const file = join(folder, 'termination-log');
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../main.ts'), ...args, '--out', folder, '--nats', nats.url],
    { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, TERMINATION_LOG: file } },
  );
  let log = '';
  child.stdout.on('data', (data) => {
    log += data;
    onLog(log, () => child.kill('SIGTERM'));
  });
  const [code] = await once(child, 'exit');
  const ending = decodeTrainerEnding(readFileSync(file, 'utf8'));
  if (ending === null) throw new Error(`left no ending: ${readFileSync(file, 'utf8')}`);
  return { code, ending };
}

it('a trainer that has spent its budget proves it with the checkpoint of its last step', async () => {
  const { code, ending } = await trainOn(96);
  expect(code).toBe(EXIT.ok);
  if (ending.outcome === 'failed') throw new Error(ending.message);
  expect(provesCompletion(ending)).toBe(true);
  expect(ending).toMatchObject({ run: 'uid-1', module: 'first', replica: 0, step: 3, samples: 96 });
  const { file = '', sha256 } = ending.checkpoint ?? {};
  expect(readdirSync(folder)).toContain(file);
  expect(decodeSafetensors(readFileSync(join(folder, file))).metadata.sha256).toBe(sha256);

  // A second trainer has no budget left and leaves the same ending.
  const again = await trainOn(96);
  expect(again).toEqual({ code, ending });
});

it('a trainer draws each step from the seed of that step', async () => {
  const { ending } = await trainOn(96);
  if (ending.outcome === 'failed') throw new Error(ending.message);
  const { tensors } = decodeSafetensors(
    readFileSync(join(folder, ending.checkpoint?.file ?? 'no checkpoint')),
  );
  const config: ModuleConfig = JSON.parse(readFileSync(join(folder, 'module.json'), 'utf8'));
  const { source, seed, batchSize } = config;
  if (source.kind !== 'data') throw new Error(`reads ${source.kind}`);

  /** Returns how far the trainer's weights are from those of three steps with the seed of step `stepOf(i)`. */
  const distanceTo = async (stepOf: (i: number) => number) => {
    const batches = await openBatches({ ...source, split: 'train', seed, batchSize, start: 0 });
    const program = compileModule(config);
    try {
      for (let i = 0; i < 3; i += 1) {
        const { bytes, labels } = await batches.next();
        program.run('train', { batch: bytes, labels, seed: stepSeed(config, 0, stepOf(i)) });
      }
      const weights = Object.entries(program.read()).filter(([name]) => name in tensors);
      expect(weights).not.toEqual([]);
      const all = (each: (name: string) => Float32Array) =>
        Float32Array.from(weights.flatMap(([name]) => [...each(name)]));
      const trained = all((name) => tensors[name]?.data as Float32Array);
      return distance(
        trained,
        all((name) => program.read()[name]?.values as Float32Array),
      );
    } finally {
      program.dispose();
    }
  };
  expect(await distanceTo((i) => i)).toBeLessThan(1e-6);
  expect(await distanceTo(() => 0)).toBeGreaterThan(1e-4);
});

it('a stopped trainer leaves an ending that does not prove completion', async () => {
  const { code, ending } = await trainOn(1_000_000, (log, stop) => {
    if (log.includes('"phase":"training"')) stop();
  });
  expect(code).toBe(EXIT.stopped);
  if (ending.outcome === 'failed') throw new Error(ending.message);
  expect(ending.outcome).toBe('stopped');
  expect(provesCompletion(ending)).toBe(false);
});

it('a trainer that fails leaves its error', async () => {
  const { code, ending } = await runTrainer(['--config', join(folder, 'missing.json')]);
  expect(code).toBe(EXIT.configuration);
  expect(ending).toMatchObject({
    outcome: 'failed',
    message: expect.stringContaining('missing.json is not a module configuration'),
  });
});
