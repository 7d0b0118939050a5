import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { gim, tinyRun } from '../../../test/support/gim.ts';

const EXAMPLES = resolve(import.meta.dirname, '../../../examples');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gim-plan-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const widest = (output: string) =>
  Math.max(...output.split('\n').map((line) => (line.startsWith('warning') ? 0 : line.length)));

it('gim plan fits into 120 columns, with names and samples as long as they may be', async () => {
  const name = 'a'.repeat(40);
  const long = tinyRun(folder, (text) =>
    text
      .replace('name: one', `name: ${name}`)
      .replace('channels: 8, stride: 2', 'channels: 8192')
      .replace('depth: 64', 'depth: 1000000\n    encoding: bfloat16'),
  );
  const { code, output } = await gim('plan', long, '--samples-per-second', '100000');
  expect(code, output).toBe(0);
  expect(output).toContain('aaaa…');
  expect(widest(output)).toBeLessThanOrEqual(120);
});

it.each(readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml')))(
  'gim plan sizes examples/%s',
  async (name) => {
    const { code, output } = await gim('plan', join(EXAMPLES, name));
    expect(code, output).toBe(0);
    expect(output).toMatch(/NATS memory: .* of buffers/);
    expect(widest(output)).toBeLessThanOrEqual(120);
  },
);

it('gim plan --json prints figures in full', async () => {
  const { output } = await gim('plan', tinyRun(folder), '--json', '--samples-per-second=10');
  const { modules, edges, nats } = JSON.parse(output);
  expect(modules.map((module: { name: string }) => module.name)).toEqual(['one', 'two', 'three']);
  expect(edges[0]).toMatchObject({ from: 'one', to: 'two', depth: 64, encoding: 'int8' });
  expect(nats.bytesPerSecond).toBe(10 * nats.bytesPerSample);
});

it('gim plan says what is wrong with a rate that is none', async () => {
  const { code, output } = await gim('plan', tinyRun(folder), '--samples-per-second', 'many');
  expect(code).toBe(1);
  expect(output).toContain('must be a number of samples a second above 0');
});

/** Writes the tiny run and its stage times for `--simulate`. */
const simulated = (stages: unknown, ...more: string[]) => {
  const file = join(folder, 'stages.json');
  writeFileSync(file, JSON.stringify(stages));
  return gim('plan', tinyRun(folder), '--simulate', file, ...more);
};
const stage = (msPerBatch: number) => ({ msPerBatch });

it('gim plan --simulate says what holds a run up, by both policies', async () => {
  const modules = { one: stage(10), two: stage(40), three: stage(10) };
  const { code, output } = await simulated({ modules });
  expect(code, output).toBe(0);
  expect(output).toMatch(/Simulated with dropOldest: [\s\S]*Simulated with block: /);
  expect(output).toContain('bottleneck: module two');
  expect(widest(output)).toBeLessThanOrEqual(120);
});

it('gim plan --simulate --json tells the same for a machine whose cores are shared', async () => {
  const modules = { one: stage(10), two: stage(10), three: stage(10) };
  const { output } = await simulated({ cores: 1, modules }, '--json');
  const [first, second] = JSON.parse(output);
  expect(first).toMatchObject({ whenFull: 'dropOldest', bottleneck: 'the cores' });
  expect(second).toMatchObject({ whenFull: 'block', bottleneck: 'the cores' });
});

it('gim plan --simulate gives each trainer of one machine no more threads than gim run does', async () => {
  const of = async (two: object) => {
    const modules = { one: stage(10), two, three: stage(10) };
    return JSON.parse((await simulated({ cores: 1, modules }, '--json')).output);
  };
  expect(await of({ msPerBatch: 40, cores: 2 })).toEqual(await of({ msPerBatch: 80, cores: 1 }));
});

it.each([
  ['lacks a module', { modules: { one: stage(1), two: stage(1) } }, 'there is none for three'],
  [
    'names a module that is not there',
    { modules: { one: stage(1), two: stage(1), three: stage(1), four: stage(1) } },
    'the run has no four',
  ],
  ['has no time', { modules: { one: stage(0) } }, '"msPerBatch": 12.5'],
])('gim plan --simulate says when the file of stage times %s', async (_, stages, message) => {
  const { code, output } = await simulated(stages);
  expect(code).toBe(1);
  expect(output).toContain(message);
});
