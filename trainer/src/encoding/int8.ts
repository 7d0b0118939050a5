import { cast } from '../step/ops.ts';
import { DT } from '../tf.ts';
import { ofLevels } from './levels.ts';

/** 8 bits a value: 255 steps. */
export const int8 = ofLevels({
  highest: 255,
  pack: (levels) => cast(levels, DT.float32, DT.uint8),
  unpack: (bytes) => cast(bytes, DT.uint8, DT.float32),
});
