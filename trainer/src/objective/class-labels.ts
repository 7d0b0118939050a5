import { classesOf, classifierParameters, crossEntropy, oneHot } from './labels.ts';
import type { ObjectiveBuilder } from './types.ts';

/** Cross entropy of a linear classifier on the mean over all patches or steps: the supervised baselines. */
export const classLabels: ObjectiveBuilder = {
  parameters: (objective, channels) => classifierParameters(classesOf(objective), channels),
  loss: (objective, weights, { context }, { labels }) =>
    crossEntropy(weights, context, oneHot(labels, classesOf(objective))),
};
