import { expect, it } from 'vitest';
import { Strongest } from './strongest.ts';

/** Outputs of three units for images of two patches: [image][patch][unit]. */
const IMAGES = [
  [[0, 5, 1], [1, 5, 0]],
  [[0, 5, 0], [9, 5, 1]],
  [[8, 5, 0], [7, 5, 1]],
  [[0, 5, 1], [0, 5, 0]],
]; // biome-ignore format: a table

function seen(keep: number): Strongest {
  const strongest = new Strongest(3, keep);
  for (const [i, image] of IMAGES.entries()) strongest.add(i, Float32Array.from(image.flat()));
  return strongest;
}

it('finds the strongest patch of each of the strongest images, strongest first', () => {
  const [first] = seen(2).mostSelective(3);
  expect(first).toEqual({
    unit: 0,
    places: [
      { image: 1, patch: 1, value: 9 },
      { image: 2, patch: 0, value: 8 },
    ],
  });
});

it('prefers units that single out some patches to units that are always the same', () => {
  expect(
    seen(1)
      .mostSelective(2)
      .map(({ unit }) => unit),
  ).toEqual([0, 2]);
});
