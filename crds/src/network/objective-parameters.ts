import { infoNCESettings, type Objective } from '../v1alpha1/run.ts';

/**
 * Number of parameters of each objective, besides those of the encoder, for a representation of `channels` channels and
 * targets of `targetChannels`. The trainer's tests compare it with the parameters that it creates.
 */
const PARAMETERS: Record<
  Objective['type'],
  (objective: Objective, channels: number, targetChannels: number) => number
> = {
  // One matrix for each prediction step, and the context network.
  infoNCE: (objective, channels, targetChannels) => {
    const { predictionSteps, context } = infoNCESettings(objective);
    const contextNetwork = context === 'pixelCNN' ? pixelCNNParameters(channels) : 0;
    return predictionSteps * channels * targetChannels + contextNetwork;
  },
  // A linear classifier with bias.
  classLabels: ({ classes = 0 }, channels) => (channels + 1) * classes,
  // A linear classifier with bias, and a 3x3 convolution without bias.
  predSim: ({ classes = 0 }, channels) => (channels + 1) * classes + 9 * channels ** 2,
  // One network for patches and one for summaries: two linear layers with bias, and a linear shortcut without bias.
  deepInfoMax: ({ units }, channels) => {
    const width = units ?? channels;
    return 2 * (2 * channels * width + width ** 2 + 2 * width);
  },
};

const PIXEL_CNN_LAYERS = 4;

/** Returns the parameters of the context network: four layers of 2x3, 1x3 and 1x1 convolutions, and a final 1x1. */
function pixelCNNParameters(channels: number): number {
  const convolution = (taps: number, from: number, to: number) => (taps * from + 1) * to;
  const wide = 2 * channels; // a gate halves them
  const layer =
    convolution(6, channels, wide) +
    convolution(1, wide, wide) +
    convolution(3, channels, wide) +
    convolution(1, channels, channels);
  // All layers except the first and the last have a residual convolution.
  const residuals = (PIXEL_CNN_LAYERS - 2) * convolution(1, channels, wide);
  return PIXEL_CNN_LAYERS * layer + residuals + convolution(1, channels, channels);
}

/** Returns the number of parameters of `objective`. */
export const objectiveParameters = (
  objective: Objective,
  channels: number,
  targetChannels: number = channels,
): number => PARAMETERS[objective.type](objective, channels, targetChannels);
