import type { Edge } from '@greedy-infomax/crds';
import { type Frame, FrameError } from './frame.ts';

/** Far beyond what a layer puts out; the square of it is still a float32. */
const LARGEST = 1e18;
/** The exponent of `LARGEST` as a float32 and a bfloat16 have it: 127 + floor(log2). */
const LARGEST_EXPONENT = 127 + Math.floor(Math.log2(LARGEST));

const PIECE = 1 << 16;
const scratch = new Uint8Array(PIECE);

/**
 * Values are looked at 32 bits at a time, without the lowest bit, so that no sum needs more than 31: where their exponents
 * are then, what to add to them, and which bits that sets if one is too large.
 */
interface Layout {
  exponents: number;
  carry: number;
  overflow: number;
}
const CARRY = 256 - LARGEST_EXPONENT;
const FLOATS: Layout = { exponents: 0x3fc00000, carry: CARRY << 22, overflow: 0x40000000 };
/** Two in a word: each is the upper half of a float32. */
const HALVES: Layout = {
  exponents: 0x3fc03fc0,
  carry: (CARRY << 22) | (CARRY << 6),
  overflow: 0x40004000,
};

/**
 * Throws a `FrameError` if a sample, or the part of one that the frame holds, decodes to what is no number or
 * is beyond all reason. One such value would make every weight NaN, so it must not reach a step.
 */
export function checkNumbers(
  { chunk, samples }: Pick<Frame, 'chunk' | 'samples'>,
  { encoding, shape }: Pick<Edge, 'encoding' | 'shape'>,
): void {
  for (const { id, bytes } of samples) {
    const good =
      encoding === 'bfloat16'
        ? areSmall(bytes, HALVES)
        : encoding === 'float32'
          ? areSmall(bytes, FLOATS)
          : // Only the scales, which come first, are floating-point: lowest and step of each channel.
            chunk > 0 || areSmall(bytes.subarray(0, 8 * shape[3]), FLOATS);
    if (!good) throw new FrameError(`sample ${id}: a value that is no number, or above ${LARGEST}`);
  }
}

/** Little-endian values, as on every machine that this runs on. */
function areSmall(bytes: Uint8Array, { exponents, carry, overflow }: Layout): boolean {
  let bits = 0;
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = aligned(bytes.subarray(at, at + PIECE));
    const words = Math.floor(piece.length / 4);
    bits |= carries(new Int32Array(piece.buffer, piece.byteOffset, words), exponents, carry);
    if (piece.length === 4 * words) continue;
    const rest = new Uint8Array(4);
    rest.set(piece.subarray(4 * words));
    bits |= carries(new Int32Array(rest.buffer), exponents, carry);
  }
  return (bits & overflow) === 0;
}

/** A message begins anywhere in memory, and words do not: pieces of it are brought to where they stay in the cache. */
function aligned(piece: Uint8Array): Uint8Array {
  if (piece.byteOffset % 4 === 0) return piece;
  scratch.set(piece);
  return scratch.subarray(0, piece.length);
}

/**
 * All bits that are set in any of the sums. Four words a turn: so long a function V8 compiles for itself, and well, instead
 * of putting it into a caller that is compiled in haste.
 */
function carries(words: Int32Array, exponents: number, carry: number): number {
  let bits = 0;
  let i = 0;
  for (; i + 3 < words.length; i += 4) {
    bits |= (((words[i] as number) >>> 1) & exponents) + carry;
    bits |= (((words[i + 1] as number) >>> 1) & exponents) + carry;
    bits |= (((words[i + 2] as number) >>> 1) & exponents) + carry;
    bits |= (((words[i + 3] as number) >>> 1) & exponents) + carry;
  }
  for (; i < words.length; i += 1) bits |= (((words[i] as number) >>> 1) & exponents) + carry;
  return bits;
}
