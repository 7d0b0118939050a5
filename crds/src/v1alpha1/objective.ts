import { z } from 'zod';
import { immutable } from './cel.ts';

export const objectiveSchema = z
  .strictObject({
    type: z
      .enum(['infoNCE', 'classLabels', 'predSim', 'deepInfoMax'])
      .describe(
        'infoNCE: tell the patch further down in the same column, or what follows in speech, from negatives. classLabels: cross entropy on the labels (the supervised baselines). predSim: labels again, and samples are to be as alike as their labels. deepInfoMax: tell the patches that a summary of the whole was made of from those of other samples.',
      ),
    predictionSteps: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe(
        'infoNCE: how many rows of patches, or steps of a sequence, ahead. Default 5, speech 12.',
      ),
    skip: z
      .int()
      .min(0)
      .max(16)
      .optional()
      .describe(
        'infoNCE: rows or steps left out between context and the nearest target. Default 1, speech 0.',
      ),
    negatives: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe('infoNCE: negatives for each positive. Default 16, speech 10.'),
    sampling: z
      .enum(['targets', 'shared', 'others', 'sequence'])
      .optional()
      .describe(
        'infoNCE: where negatives come from. targets: the targets of the same step, with replacement. shared: all positions of the batch, without replacement, one draw for all steps. others: all positions of the batch but the positive, a draw for each step. sequence: like shared, from the same image or window alone. Default targets, speech shared.',
      ),
    predictOn: z
      .enum(['target', 'context'])
      .optional()
      .describe(
        'infoNCE: which side the matrix of a step acts on. Default target, speech context.',
      ),
    subsample: z
      .int()
      .min(2)
      .max(65_536)
      .optional()
      .describe(
        'infoNCE: of longer sequences only so many steps, one after another from a random start, are contexts and positives; negatives still come from all. Default: all, speech 128.',
      ),
    context: z
      .enum(['none', 'pixelCNN'])
      .optional()
      .describe(
        'infoNCE on images: what predicts. none: the patch itself. pixelCNN: a network over the grid that sees the rows down to the own one, as in CPC. Default none.',
      ),
    classes: z
      .int()
      .min(2)
      .max(100_000)
      .optional()
      .describe('classLabels, predSim: number of classes.'),
    similarity: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe(
        'predSim: weight of the similarity loss; that of the class labels is the rest to 1. Default 0.99.',
      ),
    estimator: z
      .enum(['jensenShannon', 'infoNCE'])
      .optional()
      .describe(
        'deepInfoMax: the bound of the mutual information. Default jensenShannon, which needs few negatives.',
      ),
    units: z
      .int()
      .min(1)
      .max(8192)
      .optional()
      .describe(
        'deepInfoMax: channels in which patches and summaries are compared. Default: as many as the module has.',
      ),
  })
  .describe('What each module optimises on its own. Immutable.')
  .meta(immutable('objective'));
export type Objective = z.infer<typeof objectiveSchema>;

/** The fields beside `type` that an objective takes. */
export const OBJECTIVE_FIELDS: Record<Objective['type'], readonly (keyof Objective)[]> = {
  infoNCE: [
    'predictionSteps',
    'skip',
    'negatives',
    'sampling',
    'predictOn',
    'subsample',
    'context',
  ],
  classLabels: ['classes'],
  predSim: ['classes', 'similarity'],
  deepInfoMax: ['estimator', 'units'],
};

/** Whether the objective learns from labels, so that its module must get samples that have some. */
export const usesLabels = ({ type }: Objective): boolean =>
  type === 'classLabels' || type === 'predSim';

/** What infoNCE does where a run does not say: as in the paper (Löwe et al. 2019), for images and for speech. */
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
  Pick<Objective, 'subsample'>;

/** The settings of infoNCE, defaults filled in. */
export function infoNCESettings(objective: Objective, domain: Domain = 'images'): InfoNCE {
  const own = OBJECTIVE_FIELDS.infoNCE.filter((field) => objective[field] !== undefined);
  return {
    ...INFO_NCE_DEFAULTS[domain],
    ...Object.fromEntries(own.map((field) => [field, objective[field]])),
  };
}

/** `objective` as a module of that domain gets it: a run on speech does not repeat what the paper does. */
export const objectiveFor = (objective: Objective, domain: Domain): Objective =>
  objective.type === 'infoNCE' && domain === 'speech'
    ? { type: 'infoNCE', ...infoNCESettings(objective, domain) }
    : objective;

/** How far infoNCE predicts, defaults filled in. */
export const predictionReach = (objective: Objective, domain: Domain = 'images') => {
  const { predictionSteps, skip } = infoNCESettings(objective, domain);
  return { predictionSteps, skip };
};
