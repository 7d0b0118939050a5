import { z } from 'zod';
import type { PatchShape } from './layers.ts';

export const encodingSchema = z
  .enum(['float32', 'bfloat16', 'int8', 'int4'])
  .describe(
    'How activations travel. int8 and int4: 8 or 4 bits, with the range of each channel of a sample sent beside them. bfloat16: float32 without its lower 16 bits. float32: unchanged.',
  );
export type Encoding = z.infer<typeof encodingSchema>;

/** Bytes of one encoded sample: `patches` maps of `shape`. int8 and int4 add two float32 (lowest value, step) a channel. */
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
