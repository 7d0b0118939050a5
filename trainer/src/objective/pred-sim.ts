import { type Tensor, type Tfjs, tf } from '../tf.ts';
import { classesOf, classifierParameters, crossEntropy, oneHot } from './labels.ts';
import type { ObjectiveBuilder } from './types.ts';

const FILTER = 'objective.similarity.weight';
/** Keeps a map without any spread, and its gradient, finite. */
const EPSILON = 1e-12;
/** The share of the similarity loss in the paper's experiments. */
const SIMILARITY = 0.99;

/**
 * Local similarity matching with prediction, "predsim" (Nøkland & Eidnes 2019): a linear classifier's
 * cross entropy on the labels, and samples are to be as alike as their labels,
 *
 *     loss = (1 - b) CE(mean(x) W, labels) + b |S(spread(x * F)) - S(one-hot labels)|^2 / samples^2
 *
 * where F is a 3x3 convolution without bias over the grid, spread the standard deviation of each channel over the
 * grid, and S the matrix of the cosines between samples, each less its mean over channels. There the grid is that of
 * a feature map's pixels; here it is that of the patches.
 */
export const predSim: ObjectiveBuilder = {
  parameters: (objective, channels) => [
    ...classifierParameters(classesOf(objective), channels),
    { name: FILTER, shape: [3, 3, channels, channels], fanIn: 9 * channels },
  ],
  loss(objective, weights, { context }, { labels }) {
    const wanted = oneHot(labels, classesOf(objective)); // [samples, classes]
    const filtered = tf.conv2d(
      context as Tfjs.Tensor4D,
      weights[FILTER] as Tfjs.Tensor4D,
      1,
      'same',
    );
    const differences = tf.sub(cosines(spread(filtered)), cosines(wanted)); // [samples, samples]
    const similarity = objective.similarity ?? SIMILARITY;
    return tf.add(
      tf.mul(crossEntropy(weights, context, wanted), 1 - similarity),
      tf.mul(tf.mean(tf.square(differences)), similarity),
    );
  },
};

/** [samples, rows, cols, channels] -> standard deviations [samples, channels]. */
function spread(x: Tensor): Tensor {
  const [, rows, cols] = x.shape as [number, number, number, number];
  const centred = tf.sub(x, tf.mean(x, [1, 2], true));
  const variance = tf.div(tf.sum(tf.square(centred), [1, 2]), Math.max(1, rows * cols - 1));
  return tf.sqrt(tf.add(variance, EPSILON));
}

/** [samples, channels] -> [samples, samples]. */
function cosines(x: Tensor): Tensor {
  const centred = tf.sub(x, tf.mean(x, 1, true));
  const lengths = tf.sqrt(tf.add(tf.sum(tf.square(centred), 1, true), EPSILON));
  const unit = tf.div(centred, lengths) as Tfjs.Tensor2D;
  return tf.matMul(unit, unit, false, true);
}
