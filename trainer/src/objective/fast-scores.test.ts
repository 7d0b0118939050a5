import type { Objective } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { drawsFrom } from '../module/step.ts';
import { Program } from '../step/program.ts';
import { distance, OPTIMIZER, withoutPattern } from '../step/testing/tensors.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';
import { scoresOf } from './fast-scores.ts';
import { infoNCE } from './info-nce.ts';

const ANCHORS = 1000;
const CHANNELS = 16;
const NEGATIVES = 3;

/** Rows for each anchor: the first two are the same. */
const rowsOf = (vectors: number): Int32Array =>
  Int32Array.from({ length: ANCHORS * NEGATIVES }, (_, i) => {
    const drawn = i % NEGATIVES === 1 ? i - 1 : i;
    return (drawn * 7919) % vectors;
  });

type Score = (predicted: Tensor, vectors: Tensor, rows: Tensor) => Tensor;

/** Returns the scores of a step whose loss is their sum of squares, and Adam's first moments, a tenth of the gradients. */
function step(score: Score, vectors: number, precision: 'float32' | 'bfloat16' = 'float32') {
  const program = Program.compile({
    weights: {
      predicted: {
        shape: [ANCHORS, CHANNELS],
        values: withoutPattern(ANCHORS * CHANNELS),
      },
      vectors: { shape: [vectors, CHANNELS], values: withoutPattern(vectors * CHANNELS) },
    },
    optimizer: OPTIMIZER,
    functions: {
      train: {
        inputs: { rows: { shape: [ANCHORS, NEGATIVES], dtype: 'int32' } },
        build({ rows }, { predicted, vectors: all }) {
          const scores = score(predicted as Tensor, all as Tensor, rows as Tensor);
          return { scores, loss: tf.sum(tf.square(scores)) };
        },
        minimise: 'loss',
      },
    },
    precision,
  });
  const { scores } = program.run('train', { rows: rowsOf(vectors) });
  const after = program.read();
  program.dispose();
  const moment = (name: string) => after[`adam.m.${name}`]?.values as Float32Array;
  return {
    scores: scores as Float32Array,
    predicted: moment('predicted'),
    vectors: moment('vectors'),
  };
}

/** Selects each anchor's vectors by a matmul with zeros and ones, which tfjs has a gradient for. */
const plainly: Score = (predicted, vectors, rows) => {
  const chosen = tf.oneHot(rows as Tfjs.Tensor2D, vectors.shape[0] as number); // [anchors, negatives, vectors]
  const scores = tf.matMul(predicted as Tfjs.Tensor2D, vectors as Tfjs.Tensor2D, false, true); // [anchors, vectors]
  return tf.sum(tf.mul(tf.cast(chosen, 'float32'), tf.expandDims(scores, 1)), 2);
};

describe.each([
  ['few vectors, of which all pairs are scored', 5],
  ['many vectors, of which copies are scored', 200],
])('the scores of %s', (_, vectors) => {
  it('and their gradients equal their definition', () => {
    const [made, expected] = [step(scoresOf, vectors), step(plainly, vectors)];
    for (const name of ['scores', 'predicted', 'vectors'] as const) {
      expect(distance(made[name], expected[name]), name).toBeLessThan(1e-5);
    }
  });

  it('and their gradients are about the same in bfloat16', () => {
    const [half, full] = [step(scoresOf, vectors, 'bfloat16'), step(scoresOf, vectors)];
    for (const name of ['scores', 'predicted', 'vectors'] as const) {
      expect(distance(half[name], full[name]), name).toBeLessThan(0.02);
    }
  });

  it('and their gradients are the same each time', () => {
    expect(step(scoresOf, vectors)).toEqual(step(scoresOf, vectors));
  });
});

/** Returns the loss of InfoNCE on maps [3, 5, 2, 4], computed plainly and with fast scores from the same draws. */
function losses(settings: Partial<Objective>): { plain: number; fast: number } {
  const objective: Objective = { type: 'infoNCE', skip: 1, ...settings };
  const channels = 4;
  const parameters = infoNCE.parameters(objective, channels, channels);
  const program = Program.compile({
    weights: {
      maps: { shape: [3, 5, 2, channels], values: withoutPattern(120) },
      ...Object.fromEntries(
        parameters.map(({ name, shape }) => [
          name,
          { shape, values: withoutPattern(channels ** 2).map((x) => x + name.length) },
        ]),
      ),
    },
    optimizer: OPTIMIZER,
    functions: {
      compare: {
        inputs: { seed: { shape: [2], dtype: 'int32' } },
        build({ seed }, { maps, ...weights }) {
          const representation = { context: maps as Tensor, target: maps as Tensor };
          const batch = { labels: tf.zeros([3], 'int32'), draws: drawsFrom(seed as Tensor) };
          const loss = (made: typeof infoNCE.loss) =>
            made(objective, weights, representation, batch);
          return { plain: loss(infoNCE.loss), fast: loss(infoNCE.fastLoss ?? infoNCE.loss) };
        },
      },
    },
  });
  const { plain, fast } = program.run('compare', { seed: Int32Array.of(3, 0) });
  program.dispose();
  return { plain: plain?.[0] ?? Number.NaN, fast: fast?.[0] ?? Number.NaN };
}

describe.each(['targets', 'others', 'shared', 'sequence'] as const)(
  'the loss with negatives drawn by %s',
  (sampling) => {
    it.each([
      [1, 1],
      [1, 3],
      [2, 3],
      [3, 2],
    ])('is that of plain scores for %i steps and %i negatives', (predictionSteps, negatives) => {
      const { plain, fast } = losses({ sampling, predictionSteps, negatives });
      expect(plain).toBeGreaterThan(0);
      expect(Math.abs(fast - plain) / plain).toBeLessThan(1e-5);
    });
  },
);
