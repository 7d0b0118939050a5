import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { summarySchema } from '../../operator/src/report/summary.ts';
import {
  checkpoints,
  type GimProcess,
  gim,
  natsPid,
  startGim,
  tempFolder,
  tinyRun,
  trainerPids,
  until,
} from '../support/gim.ts';

/** Complete runs on this machine: real processes, a real NATS server, real digits. */

const folders: string[] = [];
const running: GimProcess[] = [];
afterEach(async () => {
  for (const run of running.splice(0)) {
    if (run.child.exitCode === null) run.child.kill('SIGKILL');
    await run.exited;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function place(changes?: (run: string) => string): { file: string; out: string } {
  const folder = tempFolder();
  folders.push(folder);
  return { file: tinyRun(folder, changes), out: join(folder, 'out') };
}

function start(...args: string[]): GimProcess {
  const run = startGim(...args);
  running.push(run);
  return run;
}

const summaryOf = (out: string) =>
  summarySchema.parse(JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')));

/** A run long enough to inject faults. */
const longer = (run: string) => run.replace('samples: 8000', 'samples: 24000');

describe('gim run', () => {
  it('trains every module to its budget, evaluates them and writes a summary, a report and checkpoints', async () => {
    const { file, out } = place();
    const { code, output } = await gim('run', file, '--out', out);
    expect(code, output).toBe(0);
    const { modules } = summaryOf(out);
    expect(modules.map(({ name }) => name)).toEqual(['one', 'two', 'three']);
    for (const module of modules) {
      expect(module.samplesTrained).toBe(8000);
      expect(module.lossFirst).toBeGreaterThan(2.7);
      expect(module.lossLast).toBeLessThan(module.lossFirst as number);
      expect(module.probeAccuracy).toBeGreaterThan(0.2);
      expect(module.samplesPerSecond).toBeGreaterThan(0);
    }
    expect(modules[0]?.stalenessSteps).toBeNull();
    expect(modules[1]?.stalenessSteps?.p50).toBeGreaterThanOrEqual(0);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('<svg');
    expect(checkpoints(out, 'one').length).toBeGreaterThan(0);
    expect(trainerPids(out).size).toBe(0);
    expect(natsPid(out)).toBeUndefined();

    const exported = join(out, 'encoder.safetensors');
    const result = await gim('export', out, '--to', exported);
    expect(result.code, result.output).toBe(0);
    const names = execFileSync(
      'python3',
      [
        '-c',
        `from safetensors.numpy import load_file\nprint(sorted(load_file(${JSON.stringify(exported)})))`,
      ],
      {
        env: {
          ...process.env,
          PYTHONPATH: join(import.meta.dirname, '../../node_modules/.python'),
        },
      },
    ).toString();
    expect(names).toContain('one.layers.0.weight');
    expect(names).toContain('three.layers.0.0.conv2.bias');
    expect(names).not.toContain('adam');
  });

  it('uses every sample exactly once with buffers that block', async () => {
    const { file, out } = place((run) =>
      run.replace('depth: 64', 'depth: 64\n    whenFull: block'),
    );
    const { code, output } = await gim('run', file, '--out', out, '--no-evaluate');
    expect(code, output).toBe(0);
    for (const module of summaryOf(out).modules) {
      expect(module.samplesTrained).toBe(8000);
      expect(module.samplesDropped).toBe(0);
      expect(module.samplesReused).toBe(0);
    }
  });

  it('restarts a killed trainer from its last checkpoint', async () => {
    const { file, out } = place(longer);
    const run = start('run', file, '--out', out, '--no-evaluate');
    await until(() => checkpoints(out, 'two').length > 0, 'a checkpoint of module two');
    process.kill(trainerPids(out).get('two') as number, 'SIGKILL');
    expect(await run.exited, run.output()).toBe(0);
    expect(summaryOf(out).modules.map(({ samplesTrained }) => samplesTrained)).toEqual([
      24000, 24000, 24000,
    ]);
    const log = readFileSync(join(out, 'modules/two/trainer.log'), 'utf8');
    expect(log).toContain('continuing from a checkpoint');
  });

  it('continues when the NATS server is killed', async () => {
    const { file, out } = place(longer);
    const run = start('run', file, '--out', out, '--no-evaluate');
    await until(() => checkpoints(out, 'three').length > 0, 'a checkpoint of module three');
    process.kill(natsPid(out) as number, 'SIGKILL');
    expect(await run.exited, run.output()).toBe(0);
    expect(summaryOf(out).modules.map(({ samplesTrained }) => samplesTrained)).toEqual([
      24000, 24000, 24000,
    ]);
  });

  it('stops with checkpoints on Ctrl-C and continues with --resume, skipping a damaged checkpoint', async () => {
    const { file, out } = place(longer);
    const run = start('run', file, '--out', out, '--no-evaluate');
    await until(
      () => checkpoints(out, 'one').length > 1 && checkpoints(out, 'three').length > 0,
      'checkpoints',
    );
    run.child.kill('SIGINT');
    expect(await run.exited).toBe(130);
    expect(run.output()).toContain('--resume');
    expect(trainerPids(out).size).toBe(0);
    expect(natsPid(out)).toBeUndefined();

    const again = await gim('run', file, '--out', out);
    expect(again.code).toBe(1);
    expect(again.output).toContain('--resume');

    truncateSync(checkpoints(out, 'one').at(-1) as string, 1000);
    const resumed = await gim('run', file, '--out', out, '--resume', '--no-evaluate');
    expect(resumed.code, resumed.output).toBe(0);
    expect(summaryOf(out).modules.map(({ samplesTrained }) => samplesTrained)).toEqual([
      24000, 24000, 24000,
    ]);
    const log = readFileSync(join(out, 'modules/one/trainer.log'), 'utf8');
    expect(log).toContain('skipped a damaged checkpoint');
    expect(log).toContain('continuing from a checkpoint');
  });

  it('stops a run whose loss is NaN, and names module, step and the last checkpoint', async () => {
    const { file, out } = place((run) =>
      // Values around 1e30, whose products overflow a float32.
      run.replace('crop: 24', 'crop: 24\n    normalize: { mean: [0], std: [1.0e-30] }'),
    );
    const { code, output } = await gim('run', file, '--out', out, '--no-evaluate');
    expect(code).toBe(1);
    expect(output).toMatch(/module (one|two|three)/);
    expect(output).toMatch(/loss is (NaN|-?Infinity) at step \d+/);
    expect(output).toMatch(/checkpoint/);
    expect(trainerPids(out).size).toBe(0);
  });

  it('leaves no process behind when it is killed itself', async () => {
    const { file, out } = place(longer);
    const run = start('run', file, '--out', out, '--no-evaluate');
    await until(() => trainerPids(out).size === 3, 'three trainers');
    run.child.kill('SIGKILL');
    await until(() => trainerPids(out).size === 0, 'the trainers to end');
    await until(() => natsPid(out) === undefined, 'nats-server to end');
    const memory = /\/dev\/shm\/gim-\w+/.exec(readFileSync(join(out, 'run.log'), 'utf8'))?.[0];
    await until(() => !existsSync(memory as string), 'the memory of the activations to be freed');
  });

  it('names missing data', async () => {
    const { file, out } = place((run) =>
      run.replace('format: digits', 'format: idx\n    path: /nowhere/at/all'),
    );
    const { code, output } = await gim('run', file, '--out', out);
    expect(code).toBe(1);
    expect(output).toContain('/nowhere/at/all');
  });
});
