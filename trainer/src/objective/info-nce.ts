import { type InfoNCE, infoNCESettings, type Objective } from '@greedy-infomax/crds';
import type { Representation } from '../model/representation.ts';
import type { Weights } from '../step/function.ts';
import { pick } from '../step/ops.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';
import { fastScores } from './fast-scores.ts';
import { negativesOf, type Scores } from './negatives.ts';
import { pixelCNN, pixelCNNParameters } from './pixel-cnn.ts';
import { flat, type Segment, segmentOf } from './segment.ts';
import type { Draws, ObjectiveBuilder } from './types.ts';

const weightName = (k: number): string => `objective.k${k}.weight`;

/**
 * InfoNCE (van den Oord et al. 2018, eq. 4) as Greedy InfoMax computes it. For each k = 1 .. predictionSteps, the
 * context at a position predicts the target k + skip rows further down in the same column (in a sequence: k + skip
 * steps later) and must tell it from `negatives` other vectors. Each k has its own matrix and the same weight in the
 * loss. Gradients flow through contexts, targets and negatives.
 *
 * The matrix acts on the target or on the context. Because c . (t W) = (c W') . t, the two differ only in the
 * distribution of the initial weights; the paper uses one for images and the other for speech.
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
  loss: (objective, weights, representation, { draws }) =>
    lossWith(plainScores, objective, weights, representation, draws),
  fastLoss: (objective, weights, representation, { draws }) =>
    lossWith(fastScores, objective, weights, representation, draws),
};

function lossWith(
  scoreNegatives: Scores,
  objective: Objective,
  weights: Weights,
  representation: Representation,
  draws: Draws,
): Tensor {
  const settings = infoNCESettings(objective);
  const { predictionSteps, predictOn, epsilon = 0 } = settings;
  const context =
    settings.context === 'pixelCNN'
      ? pixelCNN(weights, representation.context)
      : representation.context;
  const segment = segmentOf({ ...representation, context }, settings.subsample, draws);
  const steps = pairs(segment, settings).map(({ contexts, targets }, i) => {
    const k = i + 1;
    const matrix = weights[weightName(k)] as Tfjs.Tensor2D;
    const predicted = tf.matMul(contexts, matrix, false, predictOn === 'target'); // [anchors, target channels]
    return { k, predicted, targets };
  });
  const negatives = scoreNegatives(steps, segment, settings, draws);
  const losses = steps.map(({ predicted, targets }, i) => {
    const positive = tf.sum(tf.mul(predicted, targets), 1, true); // [anchors, 1]
    const scores = tf.concat([positive, negatives[i] as Tensor], 1); // [anchors, 1 + negatives]
    return tf.neg(tf.mean(logProbability(scores as Tfjs.Tensor2D, epsilon)));
  });
  return tf.div(tf.addN(losses), predictionSteps);
}

/** Scores each negative by its dot product with the prediction. `fastScores` computes the same faster. */
const plainScores: Scores = (steps, segment, settings, draws) =>
  steps.map((step) => {
    const { vectors, rows } = negativesOf(step, segment, settings, draws);
    return tf.sum(tf.mul(tf.expandDims(step.predicted, 1), pick(vectors, rows)), 2);
  });

/** Returns the logarithm of the probability of the first score of each row. The softmax itself would round to 0. */
const logProbability = (scores: Tfjs.Tensor2D, epsilon: number): Tensor =>
  epsilon === 0 ? first(tf.logSoftmax(scores)) : tf.log(tf.add(first(tf.softmax(scores)), epsilon));

const first = (x: Tensor): Tensor => tf.slice(x, [0, 0], [-1, 1]);

/**
 * Returns, for each step, all pairs of positions `k + skip` rows apart in the order (sample, row, column): contexts
 * [anchors, channels] and targets [anchors, target channels]. Each step slices the tensors of the step before, because
 * the gradient of a slice is as large as its input.
 */
function pairs({ context, target }: Segment, { predictionSteps, skip }: InfoNCE) {
  let [contexts, targets] = [context, target];
  return Array.from({ length: predictionSteps }, (_, i) => {
    const less = i === 0 ? 1 + skip : 1;
    const rows = (targets.shape[1] as number) - less;
    contexts = tf.slice(contexts, [0, 0, 0, 0], [-1, rows, -1, -1]);
    targets = tf.slice(targets, [0, less, 0, 0], [-1, rows, -1, -1]);
    return { contexts: flat(contexts), targets: flat(targets) };
  });
}
