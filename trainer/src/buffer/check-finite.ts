import type { Edge } from '@greedy-infomax/crds';
import { type Frame, FrameError } from './frame.ts';

/**
 * Values of 2^59 and more are far beyond what a layer puts out; their squares are still float32. A value is told from its
 * highest byte alone, the sign and the upper seven bits of the exponent, so the power is odd: 127 is added to it there.
 */
const TOO_LARGE = (127 + 59) >> 1;
/** What sets a byte's highest bit if the seven below are `TOO_LARGE` or more. */
const CARRY = 128 - TOO_LARGE;

/**
 * Throws a `FrameError` if a sample, or the part of one that the frame holds, decodes to what is no number or
 * is beyond all reason. One such value would make every weight NaN, so it must not reach a step.
 */
export function checkFinite(
  { chunk, samples }: Pick<Frame, 'chunk' | 'samples'>,
  { encoding, shape }: Pick<Edge, 'encoding' | 'shape'>,
): void {
  for (const { id, bytes } of samples) {
    const good =
      encoding === 'bfloat16'
        ? areSmall(bytes, 2)
        : encoding === 'float32'
          ? areSmall(bytes, 4)
          : // Only the scales, which come first, are floating-point: lowest and step of each channel.
            chunk > 0 || areSmall(bytes.subarray(0, 8 * shape[3]), 4);
    if (!good) throw new FrameError(`sample ${id}: a value that is no number, or 2^59 or more`);
  }
}

/**
 * Whether all values, little-endian and each of `width` bytes, are numbers below 2^59. They are looked at four bytes at a time
 * where memory has words: a message begins anywhere, so the highest byte of a value may be any of a word.
 */
function areSmall(bytes: Uint8Array, width: 2 | 4): boolean {
  const first = -bytes.byteOffset & 3;
  const count = Math.max(0, (bytes.length - first) >> 2);
  const words =
    count > 0 ? new Int32Array(bytes.buffer, bytes.byteOffset + first, count) : new Int32Array();
  let highest = 0;
  for (let i = 0; i < 4; i += 1) if (isHighest(first + i, width)) highest |= 1 << (8 * i);
  let bits = carries(words, 0x7f * highest, CARRY * highest) & (0x80 * highest);
  const outside = [
    [0, Math.min(first, bytes.length)],
    [first + 4 * count, bytes.length],
  ] as const;
  for (const [begin, end] of outside) {
    for (let i = begin; i < end; i += 1) {
      if (isHighest(i, width)) bits |= (((bytes[i] as number) & 0x7f) + CARRY) & 0x80;
    }
  }
  return bits === 0;
}

const isHighest = (at: number, width: number): boolean => at % width === width - 1;

/**
 * All bits that are set in any of the sums. Four words a turn: so long a function V8 compiles for itself, and well, instead
 * of putting it into a caller that is compiled in haste.
 */
function carries(words: Int32Array, mask: number, carry: number): number {
  let bits = 0;
  let i = 0;
  for (; i + 3 < words.length; i += 4) {
    bits |= ((words[i] as number) & mask) + carry;
    bits |= ((words[i + 1] as number) & mask) + carry;
    bits |= ((words[i + 2] as number) & mask) + carry;
    bits |= ((words[i + 3] as number) & mask) + carry;
  }
  for (; i < words.length; i += 1) bits |= ((words[i] as number) & mask) + carry;
  return bits;
}
