import type { Layer } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { size } from '../../step/function.ts';
import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { encode, encoderParameters } from '../encoder.ts';
import { initialWeights } from '../initialise.ts';
import { encodeAndPool } from '../pooled-encoder.ts';

/** Layers at the end of a module, with every field that changes the computation of the mean. */
const LAYERS: readonly [string, readonly Layer[]][] = [
  ['a convolution', [{ type: 'conv', channels: 5 }]],
  ['one that strides', [{ type: 'conv', channels: 5, kernel: 3, stride: 2 }]],
  ['one of an even kernel', [{ type: 'conv', channels: 5, kernel: 4, stride: 3, padding: 2 }]],
  ['one larger than its input', [{ type: 'conv', channels: 5, kernel: 7, padding: 3 }]],
  ['one with more places than positions', [{ type: 'residual', channels: 5, stride: 4 }]],
  ['one without padding', [{ type: 'conv', channels: 5, kernel: 5, padding: 0 }]],
  ['one with a relu', [{ type: 'conv', channels: 5, activation: 'relu' }]],
  ['a block with an identity', [{ type: 'residual', channels: 4 }]],
  ['blocks that stride', [{ type: 'residual', channels: 5, stride: 2, repeat: 2 }]],
  ['bottlenecks', [{ type: 'bottleneck', channels: 2, stride: 2, repeat: 2 }]],
  [
    'two layers',
    [
      { type: 'conv', channels: 5 },
      { type: 'residual', channels: 6, stride: 2 },
    ],
  ],
];

const PATCHES = 6;
const INPUT = [6, 5, 4] as const;
const GRID = [3, 2] as const;

describe('the mean over positions that an objective sees', () => {
  it.each(LAYERS)('is that of the activations, with the same gradients, for %s', (_, layers) => {
    const initial = initialWeights(encoderParameters(layers, [...INPUT]), 3);
    const names = Object.keys(initial);
    const tensors = Object.values(initial).map(({ shape, values }) =>
      tf.tensor(values, [...shape]),
    );
    const x = tf.tensor(
      Float32Array.from({ length: PATCHES * size(INPUT) }, (_, i) => Math.sin(5 * i)),
      [PATCHES, ...INPUT],
    );
    const gradientsOf = (context: (weights: Record<string, Tensor>, x: Tensor) => Tensor) =>
      tf.grads((...all: Tensor[]) => {
        const weights = Object.fromEntries(names.map((name, i) => [name, all[i] as Tensor]));
        return tf.sum(tf.sin(tf.mul(3, context(weights, all.at(-1) as Tensor)))) as Tfjs.Scalar;
      })([...tensors, x]);
    const expected = gradientsOf((weights, x) =>
      tf.reshape(tf.mean(encode(layers, weights, x), [1, 2]), [1, ...GRID, -1]),
    );
    const found = gradientsOf(
      (weights, x) => encodeAndPool(layers, weights, x, GRID).representation.context,
    );
    for (const [i, name] of [...names, 'the input'].entries()) {
      const values = found[i]?.dataSync() ?? [];
      for (const [k, value] of expected[i]?.dataSync().entries() ?? []) {
        expect(values[k], name).toBeCloseTo(value, 4);
      }
    }
  });
});
