import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ModuleConfig, parseRun } from '@greedy-infomax/crds';
import type { NatsConnection } from '@nats-io/transport-node';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { planRun } from '../../../operator/src/plan/run.ts';
import { TINY } from '../../../test/support/gim.ts';
import { configHash } from '../checkpoint/config-hash.ts';
import { compileModule, type ModuleProgram } from '../module/program.ts';
import { Checkpoints } from './checkpoints.ts';
import { NO_PROGRESS } from './resume.ts';

const EVERY_SECONDS = 30;
let config: ModuleConfig;
let program: ModuleProgram;
let out: string;
beforeAll(() => {
  const plan = planRun(parseRun(TINY, 'run.yaml'), { namespace: 'local', uid: '1' });
  const [first] = plan.modules as [ModuleConfig];
  config = { ...first, checkpoints: { everySeconds: EVERY_SECONDS, keep: 2 } };
  program = compileModule(config);
});
afterAll(() => program.dispose());
beforeEach(() => {
  program.step = 0;
  out = mkdtempSync(join(tmpdir(), 'checkpoints-'));
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(out, { recursive: true });
});

/** Opens checkpoints in a folder, without NATS. */
const open = (module = config, folder = out): Promise<Checkpoints> =>
  Checkpoints.open(
    { config: module, out: folder, replica: 0, log: pino({ level: 'silent' }) },
    undefined as unknown as NatsConnection,
    program,
  );

const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1000);

it('a checkpoint is due everySeconds after the last one, and only at a new step', async () => {
  const checkpoints = await open();
  pass(EVERY_SECONDS);
  expect(checkpoints.isDue(false)).toBe(true);
  await checkpoints.save(NO_PROGRESS);
  pass(EVERY_SECONDS);
  expect(checkpoints.isDue(false)).toBe(false);
  program.step = 1;
  expect(checkpoints.isDue(false)).toBe(true);
  await checkpoints.save(NO_PROGRESS);
  program.step = 2;
  pass(EVERY_SECONDS - 1);
  expect(checkpoints.isDue(false)).toBe(false);
  pass(1);
  expect(checkpoints.isDue(false)).toBe(true);
});

it.each([
  { everySeconds: EVERY_SECONDS, due: 5 },
  { everySeconds: 2, due: 2 },
])(
  'the last checkpoint is retried after $due s if others are due every $everySeconds s',
  async ({ everySeconds, due }) => {
    const full = join(out, 'file');
    const checkpoints = await open({ ...config, checkpoints: { everySeconds, keep: 2 } }, full);
    writeFileSync(full, 'no folder');
    program.step = 1;
    await checkpoints.save(NO_PROGRESS, { tolerant: true });
    expect(checkpoints.problem?.message).toContain('cannot write');
    expect(checkpoints.upToDate).toBe(false);
    pass(due - 1);
    expect(checkpoints.isDue(true)).toBe(false);
    pass(1);
    expect(checkpoints.isDue(true)).toBe(true);
    await expect(checkpoints.save(NO_PROGRESS)).rejects.toThrow('cannot write');
  },
);

it('training continues with the step, progress, weights and the age of the moments', async () => {
  const progress = { ...NO_PROGRESS, samples: 64, position: 96, firstLosses: [2], dropped: 3 };
  program.step = 12;
  program.momentsFrom = 7;
  const weights = program.read();
  await (await open()).save(progress);
  program.assign(
    Object.fromEntries(
      Object.entries(weights).map(([name, { values }]) => [name, values.map(() => 0)]),
    ),
  );
  program.step = 0;
  program.momentsFrom = 0;
  const { before, step } = await open();
  expect(before).toEqual({ ...progress, momentsFrom: 7 });
  expect([step, program.step, program.momentsFrom]).toEqual([12, 12, 7]);
  expect(program.read()).toEqual(weights);
  program.momentsFrom = 0;
});

it('the hash of a configuration differs for trainings that must not be mixed', () => {
  const others: Partial<ModuleConfig>[] = [
    { seed: config.seed + 1 },
    { layers: config.layers.slice(1) },
    { input: [1, 2, 3, 4] },
    { output: [1, 2, 3, 4] },
    { objective: { type: 'classLabels', classes: 3 } },
    { source: { ...config.source, patches: { size: 3, stride: 3 } } as ModuleConfig['source'] },
  ];
  const hashes = [config, ...others.map((other) => ({ ...config, ...other }))].map(configHash);
  expect(new Set(hashes).size).toBe(hashes.length);
});

it('the hash of a configuration is the same if training may continue', () => {
  const data = { format: 'digits', path: '/elsewhere' };
  const same: Partial<ModuleConfig>[] = [
    { source: { ...config.source, data } as ModuleConfig['source'] },
    { batchSize: config.batchSize + 1 },
    { budget: config.budget + 1 },
    { checkpoints: { everySeconds: 1, keep: 9 } },
  ];
  for (const other of same) expect(configHash({ ...config, ...other })).toBe(configHash(config));
});
