import { expect, it } from 'vitest';
import { Program } from '../step/program.ts';
import { OPTIMIZER, withoutPattern } from '../step/testing/tensors.ts';
import { type Tensor, tf } from '../tf.ts';
import { pixelCNNParameters } from './pixel-cnn.ts';
import { predSim } from './pred-sim.ts';

it('predSim has a finite loss and gradient on a grid of one patch, whose spread is zero', () => {
  const objective = { type: 'predSim' as const, classes: 2 };
  const parameters = predSim.parameters(objective, 3, 3);
  const program = Program.compile({
    weights: Object.fromEntries(
      parameters.map(({ name, shape }) => [
        name,
        { shape, values: withoutPattern(shape.reduce((product, n) => product * n, 1)) },
      ]),
    ),
    optimizer: OPTIMIZER,
    functions: {
      train: {
        inputs: {
          maps: { shape: [4, 1, 1, 3], dtype: 'float32' },
          labels: { shape: [4], dtype: 'int32' },
        },
        build: ({ maps, labels }, weights) => {
          const context = maps as Tensor;
          const draws = { ints: () => tf.zeros([1]), distinct: () => tf.zeros([1]) };
          const batch = { labels: labels as Tensor, draws };
          return { loss: predSim.loss(objective, weights, { context, target: context }, batch) };
        },
        minimise: 'loss',
      },
    },
  });
  const { loss } = program.run('train', {
    maps: withoutPattern(12),
    labels: Int32Array.of(0, 1, 1, 0),
  });
  const values = Object.values(program.read()).flatMap(({ values }) => [...values]);
  program.dispose();
  expect([...(loss ?? []), ...values].every(Number.isFinite)).toBe(true);
  expect(loss?.[0]).toBeGreaterThan(0);
});

it('a filter of the PixelCNN that sees rows above begins as the 3x3 filter that it is cut from', () => {
  const parameters = pixelCNNParameters(5).filter(({ name }) => name.includes('.rows.'));
  expect(parameters).toHaveLength(8);
  expect(new Set(parameters.map(({ fanIn }) => fanIn))).toEqual(new Set([3 * 3 * 5]));
});
