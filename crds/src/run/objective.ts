import { z } from 'zod';
import { immutable } from './cel.ts';

export const objectiveSchema = z
  .strictObject({
    type: z
      .enum(['infoNCE', 'classLabels'])
      .describe(
        'infoNCE: tell the patch further down in the same column from negatives. classLabels: cross entropy on the labels (the supervised baselines).',
      ),
    predictionSteps: z
      .int()
      .min(1)
      .max(64)
      .optional()
      .describe('infoNCE: how many rows ahead. Default 5.'),
    skip: z
      .int()
      .min(0)
      .max(16)
      .optional()
      .describe('infoNCE: rows left out between context and the nearest target. Default 1.'),
    negatives: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe('infoNCE: negatives for each positive. Default 16.'),
    classes: z.int().min(2).max(100_000).optional().describe('classLabels: number of classes.'),
  })
  .describe('What each module optimises on its own. Immutable.')
  .meta(immutable('objective'));
export type Objective = z.infer<typeof objectiveSchema>;

/** The fields beside `type` that an objective takes. */
export const OBJECTIVE_FIELDS: Record<Objective['type'], readonly (keyof Objective)[]> = {
  infoNCE: ['predictionSteps', 'skip', 'negatives'],
  classLabels: ['classes'],
};

/** How far infoNCE predicts, defaults filled in. */
export const predictionReach = ({ predictionSteps = 5, skip = 1 }: Objective) => ({
  predictionSteps,
  skip,
});
