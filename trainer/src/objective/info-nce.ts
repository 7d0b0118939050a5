import { type InfoNCE, infoNCESettings } from '@greedy-infomax/crds';
import { type Tensor, type Tfjs, tf } from '../tf.ts';
import { NEGATIVES } from './negatives.ts';
import { pixelCNN, pixelCNNParameters } from './pixel-cnn.ts';
import type { ObjectiveBuilder } from './registry.ts';
import { flat, type Stretch, stretchOf } from './segment.ts';

/** The reference's guard against log(0), in its images alone. */
const EPSILON = 1e-11;

const weightName = (k: number): string => `objective.k${k}.weight`;

/**
 * InfoNCE (van den Oord et al. 2018, eq. 4) as Greedy InfoMax computes it: from a position, tell the target
 * k + skip rows further down in the same column, which in a sequence is k + skip steps later, from
 * `negatives` others, for k = 1 .. predictionSteps, each k with a matrix of its own and each weighing the
 * same. Gradients flow through contexts, targets and negatives.
 *
 * The matrix acts on the target or on the context. As c . (t W) = (c W') . t the two differ in no more than
 * what the first weights are drawn from; both exist because the paper has one for images and one for speech.
 */
export const infoNCE: ObjectiveBuilder = {
  parameters(objective, channels, targetChannels) {
    const { predictionSteps, predictOn, context } = infoNCESettings(objective);
    const shape = predictOn === 'context' ? [channels, targetChannels] : [targetChannels, channels];
    const matrices = Array.from({ length: predictionSteps }, (_, i) => ({
      name: weightName(i + 1),
      shape,
      fanIn: shape[0] as number,
    }));
    return context === 'pixelCNN' ? [...pixelCNNParameters(channels), ...matrices] : matrices;
  },
  loss(objective, weights, representation, { draws }) {
    const settings = infoNCESettings(objective);
    const { predictionSteps, sampling, predictOn } = settings;
    const seen =
      settings.context === 'pixelCNN'
        ? { ...representation, context: pixelCNN(weights, representation.context) }
        : representation;
    const stretch = stretchOf(seen, settings.subsample, draws);
    const scoreNegatives = NEGATIVES[sampling](stretch, settings, draws);
    const steps = pairs(stretch, settings).map(({ contexts, targets }, i) => {
      const k = i + 1;
      const matrix = weights[weightName(k)] as Tfjs.Tensor2D;
      const predicted = tf.matMul(contexts, matrix, false, predictOn === 'target'); // [anchors, target channels]
      return { k, predicted, targets };
    });
    const negatives = scoreNegatives(steps);
    const losses = steps.map(({ predicted, targets }, i) => {
      const positive = tf.sum(tf.mul(predicted, targets), 1, true); // [anchors, 1]
      const scores = tf.concat([positive, negatives[i] as Tensor], 1); // [anchors, 1 + negatives]
      return predictOn === 'target'
        ? tf.neg(tf.mean(tf.log(tf.add(first(tf.softmax(scores as Tfjs.Tensor2D)), EPSILON))))
        : tf.neg(tf.mean(first(tf.logSoftmax(scores as Tfjs.Tensor2D))));
    });
    return tf.div(tf.addN(losses), predictionSteps);
  },
};

const first = (x: Tensor): Tensor => tf.slice(x, [0, 0], [-1, 1]);

/**
 * For each step all pairs of positions `k + skip` rows apart, in the order (sample, row, column): [anchors, channels],
 * [anchors, target channels]. Each is cut from that of the step before, as the gradient of a slice is as large as what it
 * was cut from.
 */
function pairs({ context, target }: Stretch, { predictionSteps, skip }: InfoNCE) {
  let [contexts, targets] = [context, target];
  return Array.from({ length: predictionSteps }, (_, i) => {
    const less = i === 0 ? 1 + skip : 1;
    const rows = (targets.shape[1] as number) - less;
    contexts = tf.slice(contexts, [0, 0, 0, 0], [-1, rows, -1, -1]);
    targets = tf.slice(targets, [0, less, 0, 0], [-1, rows, -1, -1]);
    return { contexts: flat(contexts), targets: flat(targets) };
  });
}
