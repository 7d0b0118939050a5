import { type Objective, predictionReach } from './run.ts';

/**
 * Values that each objective trains beside the encoder, for a representation of `channels` channels and
 * targets of `targetChannels`. The trainer's tests hold these against those that it makes.
 */
const PARAMETERS: Record<
  Objective['type'],
  (objective: Objective, channels: number, targetChannels: number) => number
> = {
  // A matrix for each distance.
  infoNCE: (objective, channels, targetChannels) =>
    predictionReach(objective).predictionSteps * channels * targetChannels,
  // A linear classifier with bias.
  classLabels: ({ classes = 0 }, channels) => (channels + 1) * classes,
};

export const objectiveParameters = (
  objective: Objective,
  channels: number,
  targetChannels: number = channels,
): number => PARAMETERS[objective.type](objective, channels, targetChannels);
