import { z } from 'zod';
import { describeValues } from '../v1alpha1/describe.ts';
import type { PatchShape } from './layers.ts';

export const encodingSchema = z.enum(['float32', 'bfloat16', 'int8', 'int4']).describe(
  describeValues('Encoding of activations in a buffer.', {
    float32: '4 bytes per value, lossless.',
    bfloat16: '2 bytes per value.',
    int8: '1 byte per value, quantized between the extremes of each channel of a sample.',
    int4: 'Half a byte per value, quantized like int8.',
  }),
);
export type Encoding = z.infer<typeof encodingSchema>;

/**
 * Returns the bytes of one encoded sample of `patches` maps of `shape`. int8 and int4 add two float32 values for each
 * channel: minimum and step size.
 */
export function encodedBytes(encoding: Encoding, patches: number, shape: PatchShape): number {
  const [rows, cols, channels] = shape;
  const values = patches * rows * cols * channels;
  switch (encoding) {
    case 'float32':
      return 4 * values;
    case 'bfloat16':
      return 2 * values;
    case 'int8':
      return values + 8 * channels;
    case 'int4':
      return Math.ceil(values / 2) + 8 * channels;
  }
}
