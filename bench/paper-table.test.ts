import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Summary } from '../operator/src/report/summary.ts';
import { METHODS, type Method, markdownTable, rowsOf } from './paper-table.ts';

const method = (file: string): Method => METHODS.find((each) => each.file === file) as Method;

const summary = (...accuracies: number[]): Summary => ({
  modules: accuracies.map((probeAccuracy, i) => ({
    name: `m${i}`,
    samplesTrained: 24_000,
    lossFirst: 2.8,
    lossLast: 2.2,
    probeAccuracy,
    probeAccuracyUntrained: 0.5,
    samplesPerSecond: 100,
    stalenessSteps: null,
    samplesDropped: 0,
    samplesReused: 0,
  })),
  wallSeconds: 130,
  versions: {},
});

test('every method has a run file for digits and one for STL-10', () => {
  for (const { file, smallOnly } of METHODS) {
    for (const folder of smallOnly ? ['small'] : ['small', 'paper']) {
      expect(existsSync(join(import.meta.dirname, `../examples/${folder}/${file}.yaml`))).toBe(
        true,
      );
    }
  }
});

test("uses the accuracy of a method's last module", () => {
  const [row] = rowsOf([{ method: method('predsim'), summary: summary(0.6, 0.8, 0.9) }]);
  expect(row).toMatchObject({ title: 'Predsim', accuracy: 0.9, samples: 24_000, paper: 80.8 });
});

test('lists the untrained network of Greedy InfoMax first', () => {
  const rows = rowsOf([{ method: method('gim'), summary: summary(0.6, 0.8) }]);
  expect(rows.map(({ title, accuracy }) => [title, accuracy])).toEqual([
    ['Randomly initialised', 0.5],
    ['Greedy InfoMax', 0.8],
  ]);
});

test('shows a dash for values that the paper does not give', () => {
  const rows = rowsOf([{ method: method('iterative'), summary: summary(0.8) }]);
  expect(markdownTable(rows).split('\n').at(-1)).toBe(
    '| Greedy InfoMax, iterative | 80.0% | 24,000 | 2 min 10 s | – |',
  );
});
