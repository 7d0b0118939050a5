import type { Objective } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { Program } from '../step/program.ts';
import { OPTIMIZER } from '../step/testing/tensors.ts';
import { type Tensor, tf } from '../tf.ts';
import { infoNCE } from './info-nce.ts';
import type { Draws } from './types.ts';

/** Each of two anchors has the target of the other as its negative. */
const swapped: Draws = {
  ints: () => tf.tensor2d([1, 0], [2, 1], 'int32'),
  distinct: () => tf.tensor2d([1, 0], [1, 2], 'int32'),
};

/**
 * Returns loss and gradients for two samples of two rows with one channel: contexts are 1, targets `gap / 2` and
 * `-gap / 2`, and the matrix is 1. So the first positive is ahead of its negative by `gap`, and the second behind.
 */
function lossAt(gap: number, settings: Partial<Objective> = {}) {
  const objective: Objective = {
    type: 'infoNCE',
    predictionSteps: 1,
    skip: 0,
    negatives: 1,
    ...settings,
  };
  const program = Program.compile({
    weights: {
      maps: { shape: [2, 2, 1, 1], values: Float32Array.of(1, gap / 2, 1, -gap / 2) },
      'objective.k1.weight': { shape: [1, 1], values: Float32Array.of(1) },
    },
    optimizer: OPTIMIZER,
    functions: {
      train: {
        inputs: {},
        build(_, { maps, ...weights }) {
          const representation = { context: maps as Tensor, target: maps as Tensor };
          const batch = { labels: tf.zeros([2], 'int32'), draws: swapped };
          const build = infoNCE.fastLoss ?? infoNCE.loss;
          return { loss: build(objective, weights, representation, batch) };
        },
        minimise: 'loss',
      },
    },
  });
  const { loss } = program.run('train', {});
  const after = program.read();
  program.dispose();
  // Adam's first moments after one step are a tenth of the gradients.
  const gradient = (name: string) =>
    [...(after[`adam.m.${name}`]?.values ?? [])].map((moment) => 10 * moment);
  return {
    loss: loss?.[0] ?? Number.NaN,
    maps: gradient('maps'),
    matrix: gradient('objective.k1.weight'),
  };
}

describe.each(['target', 'context'] as const)('with the matrix on the %s', (predictOn) => {
  it.each([1, 10, 30, 1e4, 1e8])(
    'loss and gradients are exact where scores differ by %d',
    (gap) => {
      // `wrong` is the second anchor's probability of its negative; the first anchor's is 1 - wrong.
      const wrong = 1 / (1 + Math.exp(-gap));
      const behind = gap + Math.log1p(Math.exp(-gap));
      const { loss, maps, matrix } = lossAt(gap, { predictOn });
      const expected = (behind + Math.log1p(Math.exp(-gap))) / 2;
      expect(loss / expected).toBeCloseTo(1, 5);
      // d loss / d score: -(1 - wrong) / 2 for the first positive, -wrong / 2 for the second.
      const [first, second] = [(1 - wrong) / 2, wrong / 2];
      expect(maps[1]).toBeCloseTo(second - first, 4);
      expect(maps[3]).toBeCloseTo(first - second, 4);
      expect((maps[0] as number) / gap).toBeCloseTo(-first, 4);
      expect((maps[2] as number) / gap).toBeCloseTo(second, 4);
      expect((matrix[0] as number) / gap).toBeCloseTo(second - first, 4);
    },
  );
});

it('with the epsilon of the paper’s code, the loss is limited and large gaps teach nothing', () => {
  const { loss, maps, matrix } = lossAt(1e4, { epsilon: 1e-11 });
  expect(loss).toBeCloseTo(-Math.log(1e-11) / 2, 3);
  expect(Math.max(...[...maps, ...matrix].map(Math.abs))).toBeLessThan(1e-6);
  const { loss: small } = lossAt(1, { epsilon: 1e-11 });
  expect(small).toBeCloseTo(lossAt(1).loss, 5);
});
