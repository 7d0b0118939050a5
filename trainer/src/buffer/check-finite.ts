import type { Edge } from '@greedy-infomax/crds';
import { type Frame, FrameError } from './frame.ts';

/**
 * Highest byte, without its sign, of a value of 2^59: no layer has such outputs, and their squares still fit float32.
 * Only the highest byte of a value is read: the sign and the upper seven bits of the exponent (biased by 127).
 */
const TOO_LARGE = (127 + 59) >> 1;
/** Summand that sets a byte's highest bit if its lower seven bits are at least `TOO_LARGE`. */
const CARRY = 128 - TOO_LARGE;

/**
 * Checks that all samples of a frame decode to finite numbers below 2^59. One NaN would make every weight NaN, so it must
 * not reach a step.
 * @throws FrameError
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
          : // Only the scales at the start are floating-point: minimum and step of each channel.
            chunk > 0 || areSmall(bytes.subarray(0, 8 * shape[3]), 4);
    if (!good) throw new FrameError(`sample ${id}: a value is NaN, infinite, or at least 2^59`);
  }
}

/**
 * Reports whether all values, little-endian and of `width` bytes each, are numbers below 2^59. Reads an int32 view of the
 * aligned bytes: messages are not aligned, so the highest byte of a value may be any of the four.
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
 * Returns the bits that are set in any of the sums. Unrolled four times, so that V8 optimizes this function on its own
 * instead of inlining it into a caller with less optimization.
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
