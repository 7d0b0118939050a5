import type { Encoding } from '@greedy-infomax/crds';
import type { Tensor } from '../tf.ts';
import { bfloat16 } from './bfloat16.ts';
import { float32 } from './float32.ts';
import { int4 } from './int4.ts';
import { int8 } from './int8.ts';

/**
 * How activations become bytes and back, as part of the graph: the step puts out rows of bytes, one a
 * sample, so a quarter of the bytes leaves the device and the edge needs to know nothing of numbers.
 * The bytes of a row are `encodedBytes` of crds.
 */
export interface Codec {
  /** float32 [samples, positions, channels] -> bytes [samples, n]. */
  encode(z: Tensor, rectified: boolean): Tensor;
  /** bytes [samples, n] -> float32 [samples, positions, channels]. */
  decode(bytes: Tensor, positions: number, channels: number, rectified: boolean): Tensor;
}

export const CODECS: Record<Encoding, Codec> = { float32, bfloat16, int8, int4 };
