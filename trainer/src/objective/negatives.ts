import type { InfoNCE } from '@greedy-infomax/crds';
import { cast, pick } from '../step/ops.ts';
import { DT, type Tensor, type Tfjs, tf } from '../tf.ts';
import type { Draws } from './registry.ts';
import { scoresOf } from './scores.ts';
import { places, type Stretch } from './segment.ts';

/** Predictions and positives of step k: [anchors, target channels] each, in the order (sample, row, column). */
export interface Step {
  k: number;
  predicted: Tensor;
  targets: Tensor;
}

/** Scores of the negatives of each step: [anchors, negatives]. */
type Scores = (steps: readonly Step[]) => Tensor[];

const eachStep =
  (score: (step: Step) => Tensor): Scores =>
  (steps) =>
    steps.map(score);

/**
 * Ways to draw negatives. The reference permutes copies of all vectors and uses a few of their rows: at the
 * paper's first speech module 671 MB, of which 21 are read. Drawing only the rows that are used has the
 * same distribution.
 */
export const NEGATIVES: Record<
  InfoNCE['sampling'],
  (stretch: Stretch, settings: InfoNCE, draws: Draws) => Scores
> = {
  targets: (_, { negatives }, draws) =>
    eachStep(({ k, predicted, targets }) => {
      const anchors = targets.shape[0] as number;
      return scoresOf(predicted, targets, draws.ints(k, [anchors, negatives], anchors));
    }),

  shared({ all, target }, { negatives, skip }, draws) {
    const [samples, rows, cols] = target.shape as [number, number, number];
    const most = samples * (rows - 1 - skip) * cols; // anchors of step 1
    const drawn = draws.distinct(1, [negatives], most, all.shape[0] as number);
    const vectors = pick(all, transposed(drawn, [1, 0])); // [most, negatives, target channels]
    return (steps) => lastProducts(steps, vectors);
  },

  others({ all, allRows, start, target }, { negatives, skip }, draws) {
    const [samples, rows, cols] = target.shape as [number, number, number];
    const count = tf.scalar(all.shape[0] as number, 'int32');
    return eachStep(({ k, predicted }) => {
      const distance = k + skip;
      const anchors = predicted.shape[0] as number;
      const inStretch = places(
        samples,
        rows - distance,
        cols,
        (sample, row) => sample * allRows + row + distance,
      );
      const positives =
        start === 0 ? inStretch : tf.add(inStretch, tf.mul(start, tf.scalar(cols, 'int32')));
      const offsets = draws.ints(k, [anchors, negatives], (all.shape[0] as number) - 1);
      const beyond = tf.add(tf.add(tf.expandDims(positives, 1), offsets), tf.scalar(1, 'int32'));
      return scoresOf(predicted, all, tf.mod(beyond, count));
    });
  },

  sequence({ all, allRows, target }, { negatives, skip }, draws) {
    const [samples, rows, cols] = target.shape as [number, number, number];
    const most = (rows - 1 - skip) * cols; // anchors of step 1 in one sample
    const drawn = draws.distinct(1, [samples, negatives], most, allRows * cols);
    const firsts = tf.mul(
      tf.range(0, samples, 1, 'int32'),
      tf.scalar(allRows * cols, 'int32'),
    ) as Tensor;
    const own = tf.add(transposed(drawn, [0, 2, 1]), tf.reshape(firsts, [samples, 1, 1]));
    const vectors = pick(all, own); // [samples, most, negatives, target channels]
    return (steps) => lastProducts(steps, vectors, samples);
  },
};

/**
 * Scores for all steps at once, with vectors [groups, most, negatives, channels] or, as one group, [most, negatives,
 * channels]: the anchors of a step meet the last vectors of their group. Step by step the gradient of the vectors, the
 * largest tensor of all, would be made and added up as often as there are steps.
 */
function lastProducts(steps: readonly Step[], vectors: Tensor, groups = 1): Tensor[] {
  const [most, negatives, channels] = vectors.shape.slice(-3) as [number, number, number];
  const anchorsOf = ({ predicted }: Step) => (predicted.shape[0] as number) / groups;
  const behind = steps.map((step) =>
    tf.pad(tf.reshape(step.predicted, [groups, anchorsOf(step), channels]), [
      [0, 0],
      [most - anchorsOf(step), 0],
      [0, 0],
    ]),
  ); // [groups, most, channels]
  const scores = tf.matMul(
    tf.reshape(tf.stack(behind, 2), [groups * most, steps.length, channels]) as Tfjs.Tensor3D,
    tf.reshape(vectors, [groups * most, negatives, channels]) as Tfjs.Tensor3D,
    false,
    true,
  ); // [groups * most, steps, negatives]
  const byStep = tf.unstack(tf.reshape(scores, [groups, most, steps.length, negatives]), 2);
  return steps.map((step, i) =>
    tf.reshape(tf.slice(byStep[i] as Tensor, [0, most - anchorsOf(step), 0], [-1, -1, -1]), [
      -1,
      negatives,
    ]),
  );
}

/** TensorFlow complains aloud of having no fast way to transpose whole numbers; float32 holds these exactly. */
const transposed = (places: Tensor, axes: number[]): Tensor =>
  cast(tf.transpose(cast(places, DT.int32, DT.float32), axes), DT.float32, DT.int32);
