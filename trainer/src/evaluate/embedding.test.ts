import { expect, it } from 'vitest';
import { embed } from './embedding.ts';

/** Returns samples that cycle through `classes` classes. Each class has its own position in eight dimensions. */
function samples(count: number, classes: number) {
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const features = Float32Array.from({ length: count * 8 }, (_, i) => {
    const [sample, channel] = [Math.floor(i / 8), i % 8];
    const noise = Math.sin(sample * 12.9 + channel * 78.2) * 0.3;
    return ((sample % classes) + 1) * Math.cos((sample % classes) * 2 + channel) + noise;
  });
  return { features, labels };
}

it('lays samples of a class beside each other', () => {
  const points = embed(samples(90, 3));
  expect(points).toHaveLength(90);
  const near = points.filter((point) => {
    const [other] = points
      .filter((each) => each !== point)
      .toSorted((a, b) => distance(a, point) - distance(b, point));
    return other?.label === point.label;
  });
  expect(near.length).toBeGreaterThan(80);
});

const distance = (a: { x: number; y: number }, b: { x: number; y: number }): number =>
  Math.hypot(a.x - b.x, a.y - b.y);

it('shows ten classes at the most, and the same picture for the same features', () => {
  const features = samples(240, 12);
  const points = embed(features);
  expect([...new Set(points.map(({ label }) => label))].toSorted((a, b) => a - b)).toEqual([
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
  ]);
  expect(embed(features)).toEqual(points);
});

it('has nothing to show of a handful of samples', () => {
  expect(embed(samples(9, 3))).toEqual([]);
});
