import { fromBfloat16, reshapeBytes, toBfloat16 } from '../step/ops.ts';
import type { Codec } from './encoding.ts';

/** The upper 16 bits of a float32, rounded to nearest: a relative error of at most 2^-8. */
export const bfloat16: Codec = {
  encode: (z) => reshapeBytes(toBfloat16(z), [z.shape[0] as number, -1]),
  decode: (bytes, positions, channels) =>
    fromBfloat16(reshapeBytes(bytes, [bytes.shape[0] as number, positions, channels, 2])),
};
