import { infoNCESettings, type Objective } from '../v1alpha1/run.ts';

/**
 * Values that each objective trains beside the encoder, for a representation of `channels` channels and
 * targets of `targetChannels`. The trainer's tests hold these against those that it makes.
 */
const PARAMETERS: Record<
  Objective['type'],
  (objective: Objective, channels: number, targetChannels: number) => number
> = {
  // A matrix for each distance, and the network that sums up what is above.
  infoNCE: (objective, channels, targetChannels) => {
    const { predictionSteps, context } = infoNCESettings(objective);
    const above = context === 'pixelCNN' ? pixelCNNParameters(channels) : 0;
    return predictionSteps * channels * targetChannels + above;
  },
  // A linear classifier with bias.
  classLabels: ({ classes = 0 }, channels) => (channels + 1) * classes,
  // The same, and a 3x3 convolution without bias.
  predSim: ({ classes = 0 }, channels) => (channels + 1) * classes + 9 * channels ** 2,
  // For patches and for their summary: two linear maps with bias one after the other, and one without beside them.
  deepInfoMax: ({ units }, channels) => {
    const width = units ?? channels;
    return 2 * (2 * channels * width + width ** 2 + 2 * width);
  },
};

const PIXEL_CNN_LAYERS = 4;

/** Of the context network, which is four layers of 2x3, 1x3 and 1x1 convolutions and a 1x1 convolution. */
function pixelCNNParameters(channels: number): number {
  const convolution = (taps: number, from: number, to: number) => (taps * from + 1) * to;
  const wide = 2 * channels; // what a gate halves
  const layer =
    convolution(6, channels, wide) +
    convolution(1, wide, wide) +
    convolution(3, channels, wide) +
    convolution(1, channels, channels);
  // All but the first and the last pass on what they got.
  const residuals = (PIXEL_CNN_LAYERS - 2) * convolution(1, channels, wide);
  return PIXEL_CNN_LAYERS * layer + residuals + convolution(1, channels, channels);
}

export const objectiveParameters = (
  objective: Objective,
  channels: number,
  targetChannels: number = channels,
): number => PARAMETERS[objective.type](objective, channels, targetChannels);
