import { expect, it } from 'vitest';
import { exponentOf } from './fit.ts';

const curve = (of: (x: number) => number) => [1, 2, 5, 10, 40].map((x) => ({ x, y: of(x) }));

it('the exponent of a power is found, whatever its factor', () => {
  expect(exponentOf(curve((x) => 7 * x))).toBeCloseTo(1);
  expect(exponentOf(curve((x) => 0.3 * x ** 2))).toBeCloseTo(2);
  expect(exponentOf(curve(() => 5))).toBeCloseTo(0);
});

it('what has no logarithm is refused', () => {
  expect(() => exponentOf([{ x: 1, y: 1 }])).toThrow(RangeError);
  expect(() => exponentOf(curve((x) => x - 1))).toThrow(RangeError);
});
