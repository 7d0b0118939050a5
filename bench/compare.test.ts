import { expect, it } from 'vitest';
import { compare } from './compare.ts';

const isWorse = (before: number, now: number | undefined) =>
  compare('step', { one: before }, now === undefined ? {} : { one: now }, /./, 0.2)[0]?.isWorse;

it('a ratio may be worse by the tolerance, and no more', () => {
  expect(isWorse(2, 1.61)).toBe(false);
  expect(isWorse(2, 1.59)).toBe(true);
  expect(isWorse(2, 3)).toBe(false);
});

it('a ratio that is missing or NaN is worse', () => {
  expect(isWorse(2, undefined)).toBe(true);
  expect(isWorse(2, Number.NaN)).toBe(true);
});

it('only selected ratios are compared, and at least one is required', () => {
  const committed = { 'digits edges': 3, 'speech conv1': 1 };
  expect(compare('step', committed, { 'digits edges': 3 }, /^digits/, 0.2)).toHaveLength(1);
  expect(() => compare('step', committed, committed, /^nothing/, 0.2)).toThrow(RangeError);
});
