import type { ProbeSettings } from '@greedy-infomax/crds';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { initialWeights } from '../model/initialise.ts';
import type { StepFunction } from '../step/function.ts';
import { Program } from '../step/program.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';

/** A linear probe: a linear classifier on frozen features, and its accuracy. */

export interface LabelledFeatures {
  /** float32 [samples, channels]. */
  features: Float32Array;
  labels: Int32Array;
}

/**
 * Trains a linear classifier with Adam on `training` and returns its accuracy on `test`, between 0 and 1.
 * Scales features to mean 0 and standard deviation 1 over the training set first. This does not change what a linear
 * classifier can represent, and one learning rate then suits modules whose activations differ in scale.
 */
export function probeAccuracy(
  training: LabelledFeatures,
  test: LabelledFeatures,
  {
    channels,
    classes,
    evaluation,
    seed,
  }: {
    channels: number;
    classes: number;
    evaluation: ProbeSettings;
    seed: number;
  },
): number {
  const scale = standardiser(training.features, channels);
  const samples = training.labels.length;
  const batch = Math.min(evaluation.batchSize, samples);
  const program = compileProbe(batch, channels, classes, evaluation, seed);
  const standardised = scale(training.features);
  const order = Uint32Array.from({ length: samples }, (_, i) => i);
  const random = xoroshiro128plus(seed);
  const x = new Float32Array(batch * channels);
  const labels = new Int32Array(batch);
  for (let epoch = 0; epoch < evaluation.epochs; epoch += 1) {
    for (let i = samples - 1; i > 0; i -= 1) {
      const j = uniformInt(random, 0, i);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    for (let start = 0; start + batch <= samples; start += batch) {
      for (let i = 0; i < batch; i += 1) {
        const from = order[start + i] as number;
        x.set(standardised.subarray(from * channels, (from + 1) * channels), i * channels);
        labels[i] = training.labels[from] as number;
      }
      program.run('train', { x: x.slice(), labels: labels.slice() });
    }
  }
  const weights = program.read();
  program.dispose();
  return accuracy(
    scale(test.features),
    test.labels,
    weights['probe.weight']?.values as Float32Array,
    weights['probe.bias']?.values as Float32Array,
  );
}

function compileProbe(
  batch: number,
  channels: number,
  classes: number,
  { learningRate }: ProbeSettings,
  seed: number,
) {
  const train: StepFunction = {
    inputs: {
      x: { shape: [batch, channels], dtype: 'float32' },
      labels: { shape: [batch], dtype: 'int32' },
    },
    build: ({ x, labels }, w) => {
      const logits = tf.add(
        tf.matMul(x as Tfjs.Tensor2D, w['probe.weight'] as Tfjs.Tensor2D),
        w['probe.bias'] as Tensor,
      );
      const wanted = tf.oneHot(labels as Tfjs.Tensor1D, classes);
      return { loss: tf.neg(tf.mean(tf.sum(tf.mul(wanted, tf.logSoftmax(logits)), 1))) };
    },
    minimise: 'loss',
  };
  return Program.compile({
    weights: initialWeights(
      [
        { name: 'probe.weight', shape: [channels, classes], fanIn: channels },
        { name: 'probe.bias', shape: [classes], fanIn: channels },
      ],
      seed,
    ),
    optimizer: { type: 'adam', learningRate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    functions: { train },
  });
}

/** Returns a function that scales features by the mean and deviation of each channel of [samples, channels]. */
function standardiser(features: Float32Array, channels: number) {
  const samples = features.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (const [i, x] of features.entries())
    mean[i % channels] = (mean[i % channels] as number) + x / samples;
  for (const [i, x] of features.entries()) {
    const c = i % channels;
    variance[c] = (variance[c] as number) + (x - (mean[c] as number)) ** 2 / samples;
  }
  // A constant channel carries no information: it becomes 0 instead of amplified noise.
  const inverse = variance.map((v) => (v > 1e-12 ? 1 / Math.sqrt(v) : 0));
  return (values: Float32Array): Float32Array =>
    values.map((x, i) => (x - (mean[i % channels] as number)) * (inverse[i % channels] as number));
}

function accuracy(
  x: Float32Array,
  labels: Int32Array,
  weight: Float32Array,
  bias: Float32Array,
): number {
  const classes = bias.length;
  const channels = weight.length / classes;
  const correct = labels.reduce((count, label, i) => {
    const logits = Float64Array.from(bias);
    for (let c = 0; c < channels; c += 1) {
      const value = x[i * channels + c] as number;
      for (let k = 0; k < classes; k += 1) {
        logits[k] = (logits[k] as number) + value * (weight[c * classes + k] as number);
      }
    }
    return count + (logits.indexOf(Math.max(...logits)) === label ? 1 : 0);
  }, 0);
  return correct / labels.length;
}
