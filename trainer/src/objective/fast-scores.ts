import type { InfoNCE } from '@greedy-infomax/crds';
import { evenParts } from '../step/function.ts';
import { pick } from '../step/ops.ts';
import { sparseMatmuls } from '../step/sparse.ts';
import { backend, type Tensor, type Tfjs, tf } from '../tf.ts';
import { negativesOf, type Scores, type Step } from './negatives.ts';

/** Fast variants of the scores of negatives. A test holds each to the plain ones of `info-nce.ts`. */

/** Scores negatives as `plainScores` does, by the fastest way for each sampling. */
export const fastScores: Scores = (steps, segment, settings, draws) =>
  BY_SAMPLING[settings.sampling](steps, segment, settings, draws);

/** For negatives that each anchor draws by itself. */
const eachStep: Scores = (steps, segment, settings, draws) =>
  steps.map((step) => {
    const { vectors, rows } = negativesOf(step, segment, settings, draws);
    return scoresOf(step.predicted, vectors, rows);
  });

/** For one draw that all steps share: `groupsOf` returns the number of groups whose last anchors meet the last vectors. */
const allSteps =
  (groupsOf: (samples: number) => number): Scores =>
  (steps, segment, settings, draws) => {
    const { vectors, rows } = negativesOf(steps[0] as Step, segment, settings, draws);
    const groups = groupsOf(segment.target.shape[0] as number);
    const [anchors, negatives] = rows.shape as [number, number];
    const drawn = pick(vectors, tf.reshape(rows, [groups, anchors / groups, negatives]));
    return lastMatmuls(steps, drawn);
  };

const BY_SAMPLING: Record<InfoNCE['sampling'], Scores> = {
  targets: eachStep,
  others: eachStep,
  shared: allSteps(() => 1),
  sequence: allSteps((samples) => samples),
};

/**
 * Scores all steps in one matmul. vectors [groups, most, negatives, channels]: the anchors of a step meet the last
 * vectors of their group. Step by step, the gradient of the vectors, the largest tensor of all, would be computed and
 * added up once per step.
 */
function lastMatmuls(steps: readonly Step[], vectors: Tensor): Tensor[] {
  const [groups, most, negatives, channels] = vectors.shape as [number, number, number, number];
  const anchorsOf = ({ predicted }: Step) => (predicted.shape[0] as number) / groups;
  const padded = steps.map((step) =>
    tf.pad(tf.reshape(step.predicted, [groups, anchorsOf(step), channels]), [
      [0, 0],
      [most - anchorsOf(step), 0],
      [0, 0],
    ]),
  ); // [groups, most, channels]
  const scores = tf.matMul(
    tf.reshape(tf.stack(padded, 2), [groups * most, steps.length, channels]) as Tfjs.Tensor3D,
    tf.reshape(vectors, [groups * most, negatives, channels]) as Tfjs.Tensor3D,
    false,
    true,
  ); // [groups * most, steps, negatives]
  const stacked = tf.reshape(scores, [groups, most, steps.length, negatives]);
  // The gradient of tf.unstack fails for a single output.
  const byStep = steps.length === 1 ? [stacked] : tf.unstack(stacked, 2);
  return steps.map((step, i) => {
    const ofStep = tf.reshape(byStep[i] as Tensor, [groups, most, negatives]);
    const last = tf.slice(ofStep, [0, most - anchorsOf(step), 0], [-1, -1, -1]);
    return tf.reshape(last, [-1, negatives]);
  });
}

/**
 * Returns the dot product of each anchor's prediction with the vectors at its rows: predicted [anchors, channels],
 * vectors [n, channels], rows int32 [anchors, negatives] -> [anchors, negatives].
 *
 * The gradients are matmuls with a matrix [anchors, n] that is zero except at the rows drawn. A processor computes them
 * as sparse matmuls in a tenth of the time. A GPU multiplies the zeros.
 */
export function scoresOf(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  if (backend.binding.isUsingGpuDevice()) return score(predicted, vectors, rows);
  return tf.customGrad((p, v, save) => {
    (save as (tensors: Tensor[]) => void)([p as Tensor, v as Tensor, rows]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [left, right, at] = saved as [Tensor, Tensor, Tensor];
      const pairs = { values: dy, at, columns: right.shape[0] as number };
      const gradients = sparseMatmuls(pairs, right, left);
      return [gradients.right, gradients.left];
    };
    return { value: score(p as Tensor, v as Tensor, rows), gradFunc };
  })(predicted, vectors);
}

/** Number of vectors per negative above which a processor copies the drawn vectors faster than it scores all pairs. */
const MANY_VECTORS = 32;

function score(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  const negatives = rows.shape[1] as number;
  const [n, channels] = vectors.shape as [number, number];
  const copies = backend.binding.isUsingGpuDevice()
    ? n > negatives * channels // copies take less memory then
    : n > negatives * MANY_VECTORS;
  return copies ? ofCopies(predicted, vectors, rows) : ofAllPairs(predicted, vectors, rows);
}

/** Bytes of vectors copied at a time, so that a processor's cache holds them until they are multiplied. */
const CACHED = 1 << 20;

function ofCopies(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  const [anchors, negatives] = rows.shape as [number, number];
  const bytes = 4 * anchors * negatives * (vectors.shape[1] as number);
  const parts = backend.binding.isUsingGpuDevice() ? 1 : Math.ceil(bytes / CACHED);
  if (parts === 1) return matmuls(predicted, pick(vectors, rows));
  const sizes = evenParts(anchors, parts);
  const chosen = tf.split(rows, sizes, 0);
  const scores = tf
    .split(predicted, sizes, 0)
    .map((part, i) => matmuls(part, pick(vectors, chosen[i] as Tensor)));
  return tf.concat(scores, 0);
}

/** [n, channels] and [n, negatives, channels] -> [n, negatives]. */
const matmuls = (predicted: Tensor, copies: Tensor): Tensor =>
  tf.squeeze(
    tf.matMul(tf.expandDims(predicted, 1) as Tfjs.Tensor3D, copies as Tfjs.Tensor3D, false, true),
    [1],
  );

function ofAllPairs(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  const scores = tf.matMul(predicted as Tfjs.Tensor2D, vectors as Tfjs.Tensor2D, false, true); // [anchors, n]
  const [anchors, n] = scores.shape as [number, number];
  const firsts = tf.expandDims(tf.range(0, anchors, 1, 'int32'), 1); // [anchors, 1]
  const begins = tf.mul(firsts, tf.scalar(n, 'int32')); // offset of an anchor's scores
  return pick(tf.reshape(scores, [anchors * n]), tf.add(begins, rows));
}
