import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { datasetIndex } from './order.ts';

const epochOf = (epoch: number, length: number, seed: number): number[] =>
  Array.from({ length }, (_, i) => datasetIndex(epoch * length + i, length, seed));

describe('the order of a data set', () => {
  it('shows every image once an epoch', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.nat({ max: 10_000_000 }),
        fc.integer(),
        (length, epoch, seed) => {
          expect(epochOf(epoch, length, seed).sort((a, b) => a - b)).toEqual(
            Array.from({ length }, (_, i) => i),
          );
        },
      ),
    );
  });

  it('differs between epochs and between seeds, and is the same each time', () => {
    expect(epochOf(0, 100, 1)).toEqual(epochOf(0, 100, 1));
    expect(epochOf(0, 100, 1)).not.toEqual(epochOf(1, 100, 1));
    expect(epochOf(0, 100, 1)).not.toEqual(epochOf(0, 100, 2));
  });

  it('puts every image at every position about equally often', () => {
    const counts = Array.from({ length: 5 }, () => new Array<number>(5).fill(0));
    for (let epoch = 0; epoch < 5000; epoch += 1) {
      for (const [place, image] of epochOf(epoch, 5, 9).entries()) {
        const row = counts[place] as number[];
        row[image] = (row[image] as number) + 1;
      }
    }
    for (const count of counts.flat()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  it('does not correlate with the order of the files', () => {
    const order = epochOf(3, 10_000, 5);
    const mean = 4999.5;
    const covariance = order.reduce((sum, x, i) => sum + (x - mean) * (i - mean), 0) / 10_000;
    expect(Math.abs(covariance / (10_000 ** 2 / 12))).toBeLessThan(0.05);
  });
});
