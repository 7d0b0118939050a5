import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRun } from '@greedy-infomax/crds';
import { expect, it } from 'vitest';
import { planRun } from './run.ts';
import { threadsOf } from './threads.ts';

function modulesOf(example: string) {
  const name = join(import.meta.dirname, '../../../examples', example);
  const run = parseRun(readFileSync(name, 'utf8'), name);
  run.spec.training = { samples: 1 };
  return planRun(run, { namespace: 'local', uid: 'a' }).modules;
}
const digits = modulesOf('digits.yaml');
const once = digits.map((module) => ({ module, trainers: 1 }));

it('a module that has half of the work gets more than one of two cores, the others one', () => {
  expect(threadsOf(2, once)).toEqual([2, 1, 1]);
});

it('more cores are shared out by the work of the modules', () => {
  expect(threadsOf(16, once)).toEqual([9, 6, 4]);
});

it('one core is one thread for each', () => {
  expect(threadsOf(1, once)).toEqual([1, 1, 1]);
});

it('trainers of one module share its threads', () => {
  expect(threadsOf(16, [{ ...once[0], trainers: 3 }, ...once.slice(1)] as typeof once)).toEqual([
    3, 6, 4,
  ]);
});

it('a module alone has all cores', () => {
  expect(threadsOf(16, once.slice(0, 1))).toEqual([16]);
});

it('machines without bounds bound no trainer', () => {
  expect(threadsOf(Number.POSITIVE_INFINITY, once)).toEqual([Infinity, Infinity, Infinity]);
});
