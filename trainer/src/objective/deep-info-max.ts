import type { Objective } from '@greedy-infomax/crds';
import type { Parameter } from '../model/layers/parameters.ts';
import type { Weights } from '../step/function.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';
import type { ObjectiveBuilder } from './types.ts';

/** Removes a score from a sum of exponentials without an infinity, whose gradient would be NaN. */
const FAR_BELOW = -1e9;

/**
 * Deep InfoMax with local features (Hjelm et al. 2019, eq. 6): maximises the mutual information between each patch of
 * a sample and a summary of all its patches: their mean, which the linear probe sees too. The critic is "encode and
 * dot": T(p, s) = f(p) . g(s), with f and g networks of a hidden layer and a linear shortcut. For n samples of m patches:
 *
 *     jensenShannon (eq. 4):  mean over own patches of sp(-T)  +  mean over others' patches of sp(T)
 *     infoNCE (eq. 5):        mean over own patches of -log(e^T / (e^T + sum over others' patches of e^T'))
 *
 * with sp(x) = log(1 + e^x) and "others" the patches of the n - 1 other samples of the batch under the same summary.
 * At chance the first is 2 ln 2, the second ln(1 + (n - 1) m). Left out: global features, and the match of a prior.
 */
export const deepInfoMax: ObjectiveBuilder = {
  parameters: (objective, channels) =>
    ['patch', 'summary'].flatMap((name) =>
      networkParameters(`objective.${name}`, channels, unitsOf(objective, channels)),
    ),
  loss({ estimator = 'jensenShannon' }, weights, { context }) {
    const [samples, rows, cols, channels] = context.shape as [number, number, number, number];
    const patches = network(weights, 'objective.patch', tf.reshape(context, [-1, channels]));
    const summaries = network(weights, 'objective.summary', tf.mean(context, [1, 2]));
    // Every patch under every summary: [samples, patches, samples].
    const scores = tf.reshape(
      tf.matMul(patches as Tfjs.Tensor2D, summaries as Tfjs.Tensor2D, false, true),
      [samples, rows * cols, samples],
    );
    const own = tf.expandDims(tf.eye(samples), 1); // [samples, 1, samples]
    const positives = tf.transpose(tf.sum(tf.mul(scores, own), 2)); // [patches, samples]
    return ESTIMATORS[estimator](scores, own, positives);
  },
};

type Estimator = NonNullable<Objective['estimator']>;

const ESTIMATORS: Record<Estimator, (scores: Tensor, own: Tensor, positives: Tensor) => Tensor> = {
  jensenShannon(scores, own, positives) {
    const [samples, patches] = scores.shape as [number, number, number];
    const others = tf.mul(tf.softplus(scores), tf.sub(1, own));
    const count = samples * (samples - 1) * patches;
    return tf.add(tf.mean(tf.softplus(tf.neg(positives))), tf.div(tf.sum(others), count));
  },
  infoNCE(scores, own, positives) {
    const others = tf.add(scores, tf.mul(own, FAR_BELOW));
    // -log(e^t / (e^t + e^o)) = sp(o - t), with e^o the sum over others of the same summary.
    return tf.mean(tf.softplus(tf.sub(tf.logSumExp(others, [0, 1]), positives)));
  },
};

const unitsOf = ({ units }: Objective, channels: number): number => units ?? channels;

function networkParameters(at: string, channels: number, units: number): Parameter[] {
  return [
    { name: `${at}.hidden.weight`, shape: [channels, units], fanIn: channels },
    { name: `${at}.hidden.bias`, shape: [units], fanIn: channels },
    { name: `${at}.out.weight`, shape: [units, units], fanIn: units },
    { name: `${at}.out.bias`, shape: [units], fanIn: units },
    { name: `${at}.shortcut.weight`, shape: [channels, units], fanIn: channels },
  ];
}

/** x [n, channels] -> [n, units]. */
function network(weights: Weights, at: string, x: Tensor): Tensor {
  const times = (input: Tensor, name: string): Tensor =>
    tf.matMul(input as Tfjs.Tensor2D, weights[`${at}.${name}.weight`] as Tfjs.Tensor2D);
  const hidden = tf.relu(tf.add(times(x, 'hidden'), weights[`${at}.hidden.bias`] as Tensor));
  const out = tf.add(times(hidden, 'out'), weights[`${at}.out.bias`] as Tensor);
  return tf.add(out, times(x, 'shortcut'));
}
