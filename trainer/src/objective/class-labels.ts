import type { Objective } from '@greedy-infomax/crds';
import { type Tfjs, tf } from '../tf.ts';
import type { ObjectiveBuilder } from './objective.ts';

const WEIGHT = 'objective.weight';
const BIAS = 'objective.bias';

const classes = ({ classes: n }: Objective): number => {
  if (n === undefined) throw new TypeError('objective classLabels needs the number of classes');
  return n;
};

/** Cross entropy of a linear classifier on the mean over all patches or steps: the supervised baselines. */
export const classLabels: ObjectiveBuilder = {
  parameters: (objective, channels) => [
    { name: WEIGHT, shape: [channels, classes(objective)], fanIn: channels },
    { name: BIAS, shape: [classes(objective)], fanIn: channels },
  ],
  loss(objective, weights, { context }, { labels }) {
    const features = tf.mean(context, [1, 2]) as Tfjs.Tensor2D; // [samples, channels]
    const logits = tf.add(
      tf.matMul(features, weights[WEIGHT] as Tfjs.Tensor2D),
      weights[BIAS] as Tfjs.Tensor1D,
    );
    const wanted = tf.oneHot(labels as Tfjs.Tensor1D, classes(objective));
    return tf.neg(tf.mean(tf.sum(tf.mul(wanted, tf.logSoftmax(logits)), 1)));
  },
};
