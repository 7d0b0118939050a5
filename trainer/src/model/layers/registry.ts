import type { LayerType } from '@greedy-infomax/crds';
import { bottleneck, residual } from './blocks.ts';
import { conv } from './conv.ts';
import { conv1d } from './conv1d.ts';
import { gru } from './gru.ts';
import type { LayerBuilder } from './layer.ts';

/** Layers by type. To add one: a row here, one in `LAYERS` of crds, and a file in this folder. */
export const LAYER_BUILDERS: Record<LayerType, LayerBuilder> = {
  conv,
  residual,
  bottleneck,
  conv1d,
  gru,
};
