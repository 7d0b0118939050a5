import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { size, type WeightValue } from '../step/function.ts';
import type { Parameter } from './layers/parameters.ts';

/**
 * Initial weights: uniform in +-1/sqrt(fanIn), weights and biases alike. It is what the reference trains
 * from (the default of its framework: Kaiming uniform with a = sqrt(5)).
 */
export function initialWeights(
  parameters: readonly Parameter[],
  seed: number,
): Record<string, WeightValue> {
  const random = xoroshiro128plus(seed);
  return Object.fromEntries(
    parameters.map(({ name, shape, fanIn }) => {
      const bound = 1 / Math.sqrt(fanIn);
      const values = Float32Array.from(
        { length: size(shape) },
        () => (2 * uniformFloat32(random) - 1) * bound,
      );
      return [name, { shape, values }];
    }),
  );
}
