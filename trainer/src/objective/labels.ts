import type { Objective } from '@greedy-infomax/crds';
import type { Parameter } from '../model/layers/parameters.ts';
import type { Weights } from '../step/function.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';

/** Linear classifier shared by the objectives that learn from labels. */

const WEIGHT = 'objective.weight';
const BIAS = 'objective.bias';

export function classesOf({ type, classes }: Objective): number {
  if (classes === undefined) throw new TypeError(`objective ${type} needs the number of classes`);
  return classes;
}

export const classifierParameters = (classes: number, channels: number): Parameter[] => [
  { name: WEIGHT, shape: [channels, classes], fanIn: channels },
  { name: BIAS, shape: [classes], fanIn: channels },
];

/** int32 [samples] -> float32 [samples, classes]. */
export const oneHot = (labels: Tensor, classes: number): Tensor =>
  tf.oneHot(labels as Tfjs.Tensor1D, classes, 1, 0, 'float32');

/** Returns the cross entropy of the classifier on the mean over all patches or steps. `wanted`: one-hot labels. */
export function crossEntropy(weights: Weights, context: Tensor, wanted: Tensor): Tensor {
  const features = tf.mean(context, [1, 2]) as Tfjs.Tensor2D; // [samples, channels]
  const logits = tf.add(
    tf.matMul(features, weights[WEIGHT] as Tfjs.Tensor2D),
    weights[BIAS] as Tfjs.Tensor1D,
  );
  return tf.neg(tf.mean(tf.sum(tf.mul(wanted, tf.logSoftmax(logits)), 1)));
}
