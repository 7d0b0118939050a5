import { expect, it } from 'vitest';
import { exponentOf } from './fit.ts';

const curve = (of: (x: number) => number) => [1, 2, 5, 10, 40].map((x) => ({ x, y: of(x) }));

it('finds the exponent of a power law for any factor', () => {
  expect(exponentOf(curve((x) => 7 * x))).toBeCloseTo(1);
  expect(exponentOf(curve((x) => 0.3 * x ** 2))).toBeCloseTo(2);
  expect(exponentOf(curve(() => 5))).toBeCloseTo(0);
});

it('refuses values without a logarithm', () => {
  expect(() => exponentOf([{ x: 1, y: 1 }])).toThrow(RangeError);
  expect(() => exponentOf(curve((x) => x - 1))).toThrow(RangeError);
});
