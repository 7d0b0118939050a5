import { expect, it } from 'vitest';
import { windows } from './windows.ts';

const numbers = (list: string[]) =>
  list.flatMap((window) => {
    const [first, last] = window.split('-').map(Number) as [number, number];
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });

it('takes every line once for a sample of all lines', () => {
  expect(numbers(windows('a.ts', 21, 1, 5))).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
});

it('takes about one window in four, the same for the same seed and different ones for another', () => {
  const taken = windows('a.ts', 8000, 4, 1);
  expect(taken.length).toBeGreaterThan(200);
  expect(taken.length).toBeLessThan(300);
  expect(windows('a.ts', 8000, 4, 1)).toEqual(taken);
  expect(windows('a.ts', 8000, 4, 2)).not.toEqual(taken);
  expect(windows('b.ts', 8000, 4, 1)).not.toEqual(taken);
});
