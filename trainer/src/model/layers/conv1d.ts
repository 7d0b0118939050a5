import { convDefaults } from '@greedy-infomax/crds';
import { tf } from '../../tf.ts';
import type { LayerBuilder } from '../layers.ts';
import { conv2d } from './conv2d.ts';
import { convParameters } from './parameters.ts';

/** One convolution with bias along the rows, which are the steps of a sequence. */
export const conv1d: LayerBuilder = {
  parameters: (layer, channelsIn, prefix) =>
    convParameters(prefix, [convDefaults(layer).kernel, 1], channelsIn, layer.channels),
  apply(layer, weights, prefix, x) {
    const { stride, padding, activation } = convDefaults(layer);
    const y = conv2d(x, weights, prefix, [stride, 1], [padding, 0]);
    return activation === 'relu' ? tf.relu(y) : y;
  },
};
