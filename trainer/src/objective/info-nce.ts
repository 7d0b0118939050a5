import type { Objective } from '@greedy-infomax/crds';
import { pick } from '../step/ops.ts';
import { type Tfjs, tf } from '../tf.ts';
import type { ObjectiveBuilder } from './objective.ts';

/** The reference's guard against log(0). */
const EPSILON = 1e-11;

/** Its constants (Löwe et al. 2019, vision). */
export const infoNCEDefaults = ({ predictionSteps, skip, negatives }: Objective) => ({
  predictionSteps: predictionSteps ?? 5,
  skip: skip ?? 1,
  negatives: negatives ?? 16,
});

const weightName = (k: number): string => `objective.k${k}.weight`;

/**
 * InfoNCE (van den Oord et al. 2018, eq. 4) as Greedy InfoMax computes it: from a patch, tell the patch
 * k + skip rows further down in the same column from `negatives` others, for k = 1 .. predictionSteps,
 * each k with a matrix of its own that acts on the target, each weighing the same. Negatives come with
 * replacement from all targets of that k in the batch, the positive itself among them. Gradients flow
 * through contexts, targets and negatives.
 *
 * All pairs are scored by one matrix product and the scores of the negatives picked from it: gathering the
 * negatives' vectors instead, as the reference does, takes `negatives` times the memory of the targets.
 */
export const infoNCE: ObjectiveBuilder = {
  parameters(objective, channels) {
    const { predictionSteps } = infoNCEDefaults(objective);
    return Array.from({ length: predictionSteps }, (_, i) => ({
      name: weightName(i + 1),
      shape: [channels, channels],
      fanIn: channels,
    }));
  },
  loss(objective, weights, representation, { draw }) {
    const { predictionSteps, skip, negatives } = infoNCEDefaults(objective);
    const losses = Array.from({ length: predictionSteps }, (_, i) => {
      const k = i + 1;
      const { contexts, targets } = pairs(representation as Tfjs.Tensor4D, k + skip); // [anchors, channels]
      const projected = tf.matMul(targets, weights[weightName(k)] as Tfjs.Tensor2D); // [anchors, channels]
      const scores = tf.matMul(contexts, projected, false, true); // [anchors, targets]
      const anchors = contexts.shape[0];
      const own = tf.range(0, anchors, 1, 'int32').expandDims(1); // an anchor's positive: [anchors, 1]
      const candidates = tf.concat([own, draw(k, anchors, negatives, anchors)], 1);
      const rows = tf.mul(own, tf.scalar(anchors, 'int32')); // where an anchor's scores begin
      const picked = pick(scores.flatten(), tf.add(rows, candidates)); // [anchors, 1 + negatives]
      const positive = tf.slice(tf.softmax(picked), [0, 0], [-1, 1]);
      return tf.neg(tf.mean(tf.log(tf.add(positive, EPSILON))));
    });
    return tf.div(tf.addN(losses), predictionSteps);
  },
};

/** All pairs of patches `distance` rows apart, in the order (image, row, column). */
function pairs(representation: Tfjs.Tensor4D, distance: number) {
  const [, rows, , channels] = representation.shape;
  const take = (from: number): Tfjs.Tensor2D =>
    tf.reshape(tf.slice(representation, [0, from, 0, 0], [-1, rows - distance, -1, -1]), [
      -1,
      channels,
    ]);
  return { contexts: take(0), targets: take(distance) };
}
