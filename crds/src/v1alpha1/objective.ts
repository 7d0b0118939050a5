import { z } from 'zod';
import { immutable } from './cel.ts';
import { describeValues } from './describe.ts';

export const objectiveSchema = z
  .strictObject({
    type: z.enum(['infoNCE', 'classLabels', 'predSim', 'deepInfoMax']).describe(
      describeValues('Type of the objective, which decides the fields that apply.', {
        infoNCE:
          'Predicts patches further down in the same column, or later steps in speech, and tells them from negatives.',
        classLabels: 'Cross entropy on class labels, for supervised baselines.',
        predSim: 'Cross entropy on class labels and similarity matching.',
        deepInfoMax:
          'Mutual information between patches and the mean over all patches of a sample.',
      }),
    ),
    predictionSteps: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe(
        'Number of rows of patches, or of steps in speech, that are predicted. Used by infoNCE. Defaults to 5 for images and 12 for speech.',
      ),
    skip: z
      .int()
      .min(0)
      .max(16)
      .optional()
      .describe(
        'Number of rows or steps between the context and its nearest target. Used by infoNCE. Defaults to 1 for images and 0 for speech.',
      ),
    negatives: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'Number of negatives per positive. Used by infoNCE. Defaults to 16 for images and 10 for speech.',
      ),
    sampling: z
      .enum(['targets', 'shared', 'others', 'sequence'])
      .optional()
      .describe(
        describeValues(
          'Source of negatives. Used by infoNCE. Defaults to targets for images and shared for speech.',
          {
            targets: 'Targets of the same prediction step, drawn with replacement.',
            shared:
              'All positions of the batch, drawn without replacement, once for all prediction steps.',
            others:
              'All positions of the batch except the positive, drawn for each prediction step.',
            sequence: 'As shared, but only from the same image or window.',
          },
        ),
      ),
    predictOn: z
      .enum(['target', 'context'])
      .optional()
      .describe(
        'Vector that the matrix of a prediction step multiplies. Used by infoNCE. Defaults to target for images and context for speech.',
      ),
    subsample: z
      .int()
      .min(2)
      .max(65_536)
      .optional()
      .describe(
        'Maximum number of consecutive rows or steps, from a random start, that serve as contexts and targets. Negatives come from all. Used by infoNCE. Defaults to no maximum for images and 128 for speech.',
      ),
    context: z
      .enum(['none', 'pixelCNN'])
      .optional()
      .describe(
        describeValues('Context that predicts. Used by infoNCE on images. Defaults to none.', {
          none: 'The patch itself.',
          pixelCNN:
            'Output of a convolutional network over this and all preceding rows of the grid, as in CPC.',
        }),
      ),
    epsilon: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        "Number added to the probability of the positive before its logarithm. The paper's code adds 1e-11 for images, which limits the loss to 25 and stops learning where scores differ by more. Used by infoNCE. Defaults to 0.",
      ),
    classes: z
      .int()
      .min(2)
      .max(100_000)
      .optional()
      .describe('Number of classes of the data set. Used and required by classLabels and predSim.'),
    similarity: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'Weight of the similarity loss. The cross entropy has weight 1 - similarity. Used by predSim. Defaults to 0.99.',
      ),
    estimator: z
      .enum(['jensenShannon', 'infoNCE'])
      .optional()
      .describe(
        'Estimator of the mutual information. jensenShannon needs fewer negatives. Used by deepInfoMax. Defaults to jensenShannon.',
      ),
    units: z
      .int()
      .min(1)
      .max(8192)
      .optional()
      .describe(
        "Number of channels in which patches and summaries are compared. Used by deepInfoMax. Defaults to the number of the module's output channels.",
      ),
  })
  .describe('Objective that every module optimizes on its own, unless it sets another.')
  .meta(immutable('objective'));
export type Objective = z.infer<typeof objectiveSchema>;

/** Fields besides `type` that each objective uses. */
export const OBJECTIVE_FIELDS: Record<Objective['type'], readonly (keyof Objective)[]> = {
  infoNCE: [
    'predictionSteps',
    'skip',
    'negatives',
    'sampling',
    'predictOn',
    'subsample',
    'context',
    'epsilon',
  ],
  classLabels: ['classes'],
  predSim: ['classes', 'similarity'],
  deepInfoMax: ['estimator', 'units'],
};

/** Reports whether the objective learns from labels, so that its module needs labelled samples. */
export const usesLabels = ({ type }: Objective): boolean =>
  type === 'classLabels' || type === 'predSim';

/** Defaults of infoNCE for images and for speech, from the paper (Löwe et al. 2019). */
const INFO_NCE_DEFAULTS = {
  images: {
    predictionSteps: 5,
    skip: 1,
    negatives: 16,
    sampling: 'targets',
    predictOn: 'target',
    subsample: undefined,
    context: 'none',
  },
  speech: {
    predictionSteps: 12,
    skip: 0,
    negatives: 10,
    sampling: 'shared',
    predictOn: 'context',
    subsample: 128,
    context: 'none',
  },
} as const;

export type Domain = keyof typeof INFO_NCE_DEFAULTS;

export type InfoNCE = Required<
  Pick<Objective, 'predictionSteps' | 'skip' | 'negatives' | 'sampling' | 'predictOn' | 'context'>
> &
  Pick<Objective, 'subsample' | 'epsilon'>;

/** Returns the settings of infoNCE with their defaults. */
export function infoNCESettings(objective: Objective, domain: Domain = 'images'): InfoNCE {
  const own = OBJECTIVE_FIELDS.infoNCE.filter((field) => objective[field] !== undefined);
  return {
    ...INFO_NCE_DEFAULTS[domain],
    ...Object.fromEntries(own.map((field) => [field, objective[field]])),
  };
}

/** Returns `objective` for modules of `domain`, with the defaults of infoNCE for speech filled in. */
export const objectiveFor = (objective: Objective, domain: Domain): Objective =>
  objective.type === 'infoNCE' && domain === 'speech'
    ? { type: 'infoNCE', ...infoNCESettings(objective, domain) }
    : objective;

/** Returns how many rows or steps ahead infoNCE predicts, with defaults. */
export const predictionReach = (objective: Objective, domain: Domain = 'images') => {
  const { predictionSteps, skip } = infoNCESettings(objective, domain);
  return { predictionSteps, skip };
};
