import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { summarySchema } from '../../operator/src/report/summary.ts';
import { readHistory } from '../../trainer/src/train/history.ts';
import { gim, tempFolder, tinyRun } from '../support/gim.ts';

/** Modules that train one after another: real trainers, a real NATS server, real digits. */

const SAMPLES = 1600;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

async function train(buffers: string) {
  const folder = tempFolder();
  folders.push(folder);
  const file = tinyRun(folder, (run) =>
    run
      .replace('samples: 8000', `samples: ${SAMPLES}`)
      .replace('  buffers:', '  order: iterative\n  buffers:')
      .replace('depth: 64', buffers),
  );
  const out = join(folder, 'out');
  const { code, output } = await gim('run', file, '--out', out, '--no-evaluate');
  expect(code, output).toBe(0);
  const { modules } = summarySchema.parse(
    JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8')),
  );
  const histories = modules.map(({ name }) =>
    readHistory(join(out, 'modules', name, 'history.jsonl')),
  );
  return { modules, histories };
}

it('each module starts when the previous one is trained, and sees only its final weights', async () => {
  const { modules, histories } = await train('depth: 64');
  expect(modules.map(({ samplesTrained }) => samplesTrained)).toEqual([SAMPLES, SAMPLES, SAMPLES]);
  for (const [i, history] of histories.entries()) {
    const before = histories[i - 1]?.at(-1);
    if (before) expect(history[0]?.at).toBeGreaterThan(before.at);
    for (const { stalenessSteps } of history.slice(0, i === 0 ? 0 : undefined)) {
      expect(stalenessSteps).toEqual({ p50: 0, p95: 0 });
    }
  }
});

it('a buffer that must not drop does not block a module that trains alone', async () => {
  const { modules } = await train('depth: 64\n    whenFull: block');
  expect(modules.map(({ samplesTrained }) => samplesTrained)).toEqual([SAMPLES, SAMPLES, SAMPLES]);
  expect(modules.map(({ samplesDropped }) => samplesDropped)).toEqual([0, 0, 0]);
});

it('stored activations are reused as often as the run says', async () => {
  const { modules } = await train('depth: 64\n    maxReuse: 3\n    reuse: always');
  for (const { samplesTrained, samplesReused } of modules.slice(1)) {
    expect(samplesTrained).toBe(SAMPLES);
    // Three of four uses are of samples used before, except for those still buffered at the end.
    expect(samplesReused).toBeGreaterThan((SAMPLES - 2 * 64) * 0.7);
    expect(samplesReused).toBeLessThanOrEqual(SAMPLES * 0.75);
  }
});
