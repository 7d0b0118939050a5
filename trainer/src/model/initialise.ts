import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { size, type WeightValue } from '../step/function.ts';
import type { Parameter } from './layers/parameters.ts';

/**
 * Returns initial weights, uniform in +-1/sqrt(fanIn) for weights and biases. The reference starts from the same
 * distribution (PyTorch's default: Kaiming uniform with a = sqrt(5)).
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
