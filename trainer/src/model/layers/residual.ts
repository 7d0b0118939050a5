import { preActivationBlocks } from './blocks.ts';

/** Two 3x3 convolutions; the first strides. */
export const residual = preActivationBlocks(({ channels }, stride) => [
  { name: 'conv1', kernel: 3, channels, stride },
  { name: 'conv2', kernel: 3, channels, stride: 1 },
]);
