import { bitcast, reshapeBytes } from '../step/ops.ts';
import { DT } from '../tf.ts';
import type { Codec } from './encoding.ts';

/** The numbers as they are. */
export const float32: Codec = {
  encode: (z) => reshapeBytes(bitcast(z, DT.float32, DT.uint8), [z.shape[0] as number, -1]),
  decode: (bytes, positions, channels) =>
    bitcast(
      reshapeBytes(bytes, [bytes.shape[0] as number, positions, channels, 4]),
      DT.uint8,
      DT.float32,
    ),
};
