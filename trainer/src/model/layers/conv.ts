import { convDefaults } from '@greedy-infomax/crds';
import { relu } from '../../step/ops.ts';
import { conv2d } from './conv2d.ts';
import type { LayerBuilder } from './layer.ts';
import { convParameters } from './parameters.ts';
import { meanOfConv2d, meanOverPositions } from './pooled-conv.ts';

/** A convolution with bias. */
export const conv: LayerBuilder = {
  parameters: (layer, channelsIn, prefix) =>
    convParameters(prefix, convDefaults(layer).kernel, channelsIn, layer.channels),
  apply(layer, weights, prefix, x) {
    const { stride, padding, activation } = convDefaults(layer);
    const y = conv2d(x, weights, prefix, stride, padding);
    return activation === 'relu' ? relu(y) : y;
  },
  applyWithMean(layer, weights, prefix, x) {
    const { stride, padding, activation } = convDefaults(layer);
    const y = conv.apply(layer, weights, prefix, x);
    const mean = () =>
      activation === 'relu'
        ? meanOverPositions(y)
        : meanOfConv2d(x, weights, prefix, stride, padding);
    return { y, mean };
  },
};
