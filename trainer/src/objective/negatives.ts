import type { InfoNCE } from '@greedy-infomax/crds';
import { cast } from '../step/ops.ts';
import { DT, type Tensor, tf } from '../tf.ts';
import { positions, type Segment } from './segment.ts';
import type { Draws } from './types.ts';

/** Predictions and targets of step k, in the order (sample, row, column). */
export interface Step {
  k: number;
  /** [anchors, target channels]. */
  predicted: Tensor;
  /** Positives: [anchors, target channels]. */
  targets: Tensor;
}

/** A way to score the negatives of each step: [anchors, negatives]. */
export type Scores = (
  steps: readonly Step[],
  segment: Segment,
  settings: InfoNCE,
  draws: Draws,
) => Tensor[];

/** Negatives of one step of the prediction. */
export interface Negatives {
  /** Vectors that negatives are drawn from: [n, target channels]. */
  vectors: Tensor;
  /** Rows of `vectors` drawn for each anchor: int32 [anchors, negatives]. */
  rows: Tensor;
}

/** Draws the negatives of one step. A call with the same seed and step draws the same rows. */
export const negativesOf = (
  step: Pick<Step, 'k' | 'targets'>,
  segment: Segment,
  settings: InfoNCE,
  draws: Draws,
): Negatives => SAMPLINGS[settings.sampling](step, segment, settings, draws);

/**
 * Ways to draw negatives. The reference permutes copies of all vectors and uses a few of their rows: it copies 671 MB
 * at the paper's first speech module and reads 21 MB. Drawing only the rows that are used has the same distribution.
 */
const SAMPLINGS: Record<InfoNCE['sampling'], typeof negativesOf> = {
  /** Any target of the same step, independently for each anchor. */
  targets({ k, targets }, _, { negatives }, draws) {
    const anchors = targets.shape[0] as number;
    return { vectors: targets, rows: draws.ints(k, [anchors, negatives], anchors) };
  },

  /** Any vector of the batch; every step uses the last rows of one draw. */
  shared({ targets }, { all, target }, { negatives, skip }, draws) {
    const [samples, rows, cols] = target.shape as [number, number, number];
    const most = samples * (rows - 1 - skip) * cols; // anchors of step 1
    const drawn = draws.distinct(1, [negatives], most, all.shape[0] as number);
    const anchors = targets.shape[0] as number;
    const ofAnchors = transposed(drawn, [1, 0]); // [most, negatives]
    return { vectors: all, rows: tf.slice(ofAnchors, [most - anchors, 0], [-1, -1]) };
  },

  /** Any vector of the batch except the positive, independently for each anchor. */
  others({ k, targets }, { all, allRows, start, target }, { negatives, skip }, draws) {
    const [samples, rows, cols] = target.shape as [number, number, number];
    const count = tf.scalar(all.shape[0] as number, 'int32');
    const distance = k + skip;
    const anchors = targets.shape[0] as number;
    const inSegment = positions(
      samples,
      rows - distance,
      cols,
      (sample, row) => sample * allRows + row + distance,
    );
    const positives =
      start === 0 ? inSegment : tf.add(inSegment, tf.mul(start, tf.scalar(cols, 'int32')));
    const offsets = draws.ints(k, [anchors, negatives], (all.shape[0] as number) - 1);
    const beyond = tf.add(tf.add(tf.expandDims(positives, 1), offsets), tf.scalar(1, 'int32'));
    return { vectors: all, rows: tf.mod(beyond, count) };
  },

  /** Any vector of the same sample; every step uses the last rows of one draw. */
  sequence({ targets }, { all, allRows, target }, { negatives, skip }, draws) {
    const [samples, rows, cols] = target.shape as [number, number, number];
    const most = (rows - 1 - skip) * cols; // anchors of step 1 in one sample
    const drawn = draws.distinct(1, [samples, negatives], most, allRows * cols);
    const firsts = tf.mul(
      tf.range(0, samples, 1, 'int32'),
      tf.scalar(allRows * cols, 'int32'),
    ) as Tensor;
    const own = tf.add(transposed(drawn, [0, 2, 1]), tf.reshape(firsts, [samples, 1, 1]));
    const anchors = (targets.shape[0] as number) / samples;
    const last = tf.slice(own, [0, most - anchors, 0], [-1, -1, -1]);
    return { vectors: all, rows: tf.reshape(last, [samples * anchors, negatives]) };
  },
};

/** Transposes through float32, which holds these integers exactly: TensorFlow warns that it has no fast int32 transpose. */
const transposed = (rows: Tensor, axes: number[]): Tensor =>
  cast(tf.transpose(cast(rows, DT.int32, DT.float32), axes), DT.float32, DT.int32);
