import { expect, it } from 'vitest';
import { Program } from '../step/program.ts';
import { OPTIMIZER } from '../step/testing/tensors.ts';
import { type Tensor, tf } from '../tf.ts';
import { FlatWeights } from './weights.ts';

function compile() {
  return Program.compile({
    weights: {
      a: { shape: [2], values: Float32Array.of(1, 2) },
      b: { shape: [1], values: Float32Array.of(3) },
    },
    optimizer: OPTIMIZER,
    functions: {
      train: {
        inputs: {},
        build: (_, { a, b }) => ({
          loss: tf.add(tf.sum(tf.square(a as Tensor)), tf.sum(tf.square(b as Tensor))),
        }),
        minimise: 'loss',
      },
      forward: { inputs: {}, build: () => ({}) },
    },
  });
}

it('assigns the weights and keeps the moments of each trainer', () => {
  const program = compile();
  program.run('train', {});
  const flat = new FlatWeights(program);
  expect(flat.length).toBe(3);
  expect([...flat.read()].map((x) => Math.round(x))).toEqual([1, 2, 3]);
  const momentsOf = () =>
    Object.entries(program.read()).filter(([name]) => name.startsWith('adam.'));
  const moments = momentsOf();
  expect(moments).toHaveLength(4);
  flat.assign(Float32Array.of(7, 8, 9));
  expect(momentsOf()).toEqual(moments);
  expect([...(program.read().a?.values ?? [])]).toEqual([7, 8]);
  expect([...flat.read()]).toEqual([7, 8, 9]);
  program.dispose();
});
