import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseRun } from '@greedy-infomax/crds';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runLocally } from '../../operator/src/local/run.ts';
import { checkpoints, tempFolder, tinyRun, until } from '../support/gim.ts';

/** Modules with several trainers, as real processes on this machine. */

let folder: string;
let stop: AbortController;
beforeEach(() => {
  folder = tempFolder();
  stop = new AbortController();
});
afterEach(() => {
  stop.abort();
  rmSync(folder, { recursive: true, force: true });
});

const BLOCK = 'depth: 64\n    whenFull: block';

it('trains with replicas that join and leave, and drops no sample of a buffer that blocks', async () => {
  const file = tinyRun(folder, (run) =>
    run
      .replace('samples: 8000', 'samples: 32000')
      .replace('depth: 64', BLOCK)
      .replace('buffers:', 'averaging:\n    everySteps: 20\n  buffers:'),
  );
  const out = join(folder, 'out');
  let replicas = 1;
  const run = runLocally(
    {
      file,
      run: parseRun(readFileSync(file, 'utf8'), file),
      out,
      resume: false,
      evaluate: false,
      replicas: (module) => (module === 'three' ? 1 : replicas),
      screen: { show: () => {}, note: () => {}, done: () => {} },
      tickMs: 200,
    },
    stop.signal,
  );
  const second = (module: string) => join(out, 'modules', module, 'replica-1');
  const saved = (module: string) => checkpoints(out, `${module}/replica-1`).length > 0;
  const log = (module: string) => readFileSync(join(second(module), 'trainer.log'), 'utf8');
  const trains = (module: string) => existsSync(join(second(module), 'history.jsonl'));
  await until(() => checkpoints(out, 'one').length > 0, 'a checkpoint of module one');
  replicas = 2;
  await until(() => trains('one') && trains('two'), 'second trainers to train');
  replicas = 1;
  await until(() => saved('one') && saved('two'), 'second trainers to leave');
  const { modules } = await run;

  for (const { name, samplesTrained, samplesDropped, lossFirst, lossLast } of modules) {
    expect(samplesTrained, name).toBeGreaterThanOrEqual(32_000);
    expect(samplesDropped, name).toBe(0);
    expect(lossLast, name).toBeLessThan(lossFirst as number);
  }
  for (const module of ['one', 'two']) {
    const [, step] =
      /"step":(\d+),"msg":"continuing from the weights of a peer/.exec(log(module)) ?? [];
    expect(Number(step), module).toBeGreaterThan(0);
    expect(log(module)).toContain('checkpoint written');
    expect(log(module)).not.toContain('cannot average');
  }
});
