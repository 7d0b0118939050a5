import { preActivationBlocks } from './blocks.ts';

/** 1x1, 3x3 and 1x1 convolutions; the 3x3 strides, the last puts out four times as many channels. */
export const bottleneck = preActivationBlocks(({ channels }, stride) => [
  { name: 'conv1', kernel: 1, channels, stride: 1 },
  { name: 'conv2', kernel: 3, channels, stride },
  { name: 'conv3', kernel: 1, channels: 4 * channels, stride: 1 },
]);
