import type { Augmentation } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { augment, cropCentre } from './augment.ts';
import { DataError } from './errors.ts';

const settings = (fields: Partial<Augmentation>): Augmentation => ({
  pad: 0,
  crop: 2,
  flip: false,
  grayscale: false,
  ...fields,
});
const ordinals = (count: number, first = 0) =>
  Float64Array.from({ length: count }, (_, i) => first + i);

/** An image of 3 rows and 4 columns. */
const IMAGE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
const many = (count: number): Uint8Array =>
  Uint8Array.from({ length: count * 12 }, (_, i) => IMAGE[i % 12] as number);

/** Counts each crop of `IMAGE` in 600 images, by its pixels. */
function crops(fields: Partial<Augmentation>): Map<string, number> {
  const counts = new Map<string, number>();
  const augmentation = settings(fields);
  const size = augmentation.crop ** 2;
  const out = augment(many(600), [600, 3, 4, 1], augmentation, ordinals(600), 1);
  for (let at = 0; at < out.length; at += size) {
    const key = out.subarray(at, at + size).join(' ');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

describe('augmentation', () => {
  it('draws every crop about equally often', () => {
    const counts = crops({});
    expect([...counts.keys()].sort()).toEqual(
      ['1 2 5 6', '2 3 6 7', '3 4 7 8', '5 6 9 10', '6 7 10 11', '7 8 11 12'].sort(),
    );
    for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThan(40);
  });

  it('draws rows and columns independently, also for square images', () => {
    const square = Uint8Array.from({ length: 600 * 16 }, (_, i) => i % 16);
    const out = augment(square, [600, 4, 4, 1], settings({}), ordinals(600), 1);
    const counts = new Map<number, number>();
    for (let at = 0; at < out.length; at += 4) {
      const corner = out[at] as number;
      counts.set(corner, (counts.get(corner) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 4, 5, 6, 8, 9, 10]);
    for (const count of counts.values()) expect(Math.abs(count - 600 / 9)).toBeLessThan(35);
  });

  it('mirrors half of the images', () => {
    const counts = crops({ pad: 0, crop: 3, flip: true });
    expect([...counts.keys()].sort()).toEqual(
      [
        '1 2 3 5 6 7 9 10 11',
        '2 3 4 6 7 8 10 11 12',
        '3 2 1 7 6 5 11 10 9',
        '4 3 2 8 7 6 12 11 10',
      ].sort(),
    );
    for (const count of counts.values()) expect(Math.abs(count - 150)).toBeLessThan(50);
  });

  it('pads with black on every side', () => {
    const counts = crops({ pad: 1, crop: 4, flip: true });
    expect(counts.get('0 0 0 0 0 1 2 3 0 5 6 7 0 9 10 11')).toBeGreaterThan(0);
    expect(counts.get('2 3 4 0 6 7 8 0 10 11 12 0 0 0 0 0')).toBeGreaterThan(0);
    expect(counts.get('0 4 3 2 0 8 7 6 0 12 11 10 0 0 0 0')).toBeGreaterThan(0); // mirrored
    expect(counts.size).toBe(2 * 3 * 2);
  });

  it('keeps the channels of a pixel together, mirrored or not', () => {
    const image = Uint8Array.of(1, 2, 3, 4, 5, 6); // 1 row, 2 columns
    const out = augment(
      Buffer.concat(Array.from({ length: 50 }, () => image)),
      [50, 1, 2, 3],
      settings({ crop: 1, flip: true }),
      ordinals(50),
      1,
    );
    const pixels = Array.from({ length: 50 }, (_, i) => out.subarray(3 * i, 3 * i + 3).join(' '));
    expect(new Set(pixels)).toEqual(new Set(['1 2 3', '4 5 6']));
  });

  it('draws by seed and ordinal only, not by the position in a batch', () => {
    const augmentation = settings({ pad: 2, crop: 4, flip: true });
    const draw = (first: number, count: number, seed = 1) =>
      augment(many(count), [count, 3, 4, 1], augmentation, ordinals(count, first), seed);
    expect(draw(5, 2)).toEqual(draw(0, 10).subarray(5 * 16, 7 * 16));
    expect(draw(2 ** 32, 20)).not.toEqual(draw(0, 20));
    expect(draw(0, 20, 2)).not.toEqual(draw(0, 20));
  });

  it('turns colours into luma with the weights and rounding of the reference', () => {
    const colours = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 10, 20, 30, 1, 1, 1];
    const out = cropCentre(
      Uint8Array.from(colours),
      [6, 1, 1, 3],
      settings({ crop: 1, grayscale: true }),
    );
    expect([...out]).toEqual([76, 150, 29, 255, 18, 1]);
  });

  it('does not change images of one channel when converting to luma', () => {
    expect([...cropCentre(IMAGE, [1, 3, 4, 1], settings({ crop: 1, grayscale: true }))]).toEqual([
      6,
    ]);
  });

  it('cuts the centre for evaluation, padded too, and never mirrors', () => {
    expect([...cropCentre(IMAGE, [1, 3, 4, 1], settings({ flip: true }))]).toEqual([2, 3, 6, 7]);
    expect([...cropCentre(Uint8Array.of(7), [1, 1, 1, 1], settings({ pad: 1, crop: 3 }))]).toEqual([
      0, 0, 0, 0, 7, 0, 0, 0, 0,
    ]);
  });

  it('refuses a crop larger than the padded image', () => {
    const tooLarge = () => cropCentre(IMAGE, [1, 3, 4, 1], settings({ crop: 6, pad: 1 }));
    expect(tooLarge).toThrow(DataError);
    expect(tooLarge).toThrow(/crop is 6, but images are 3 x 4, with padding 5 x 6; make crop/);
  });
});
