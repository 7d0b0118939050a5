import { expect, test } from 'vitest';
import { percentiles } from './percentiles.ts';

test('percentiles are by nearest rank', () => {
  expect(percentiles([])).toBeNull();
  expect(percentiles([3])).toEqual({ p50: 3, p95: 3 });
  expect(percentiles([0, 1, 2, 3, 4, 5, 6, 7, 100])).toEqual({ p50: 4, p95: 100 });
  expect(percentiles(Array.from({ length: 100 }, (_, i) => 100 - i))).toEqual({ p50: 50, p95: 95 });
});
