import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
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

it.each(readdirSync(EXAMPLES))('gim plan sizes examples/%s', async (name) => {
  const { code, output } = await gim('plan', join(EXAMPLES, name));
  expect(code, output).toBe(0);
  expect(output).toMatch(/NATS memory: .* of buffers/);
  expect(widest(output)).toBeLessThanOrEqual(120);
});

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
