import type { Edge } from '@greedy-infomax/crds';
import { type Frame, FrameError } from './frame.ts';

/** Far beyond what a layer puts out; the square of it is still a float32. */
const LARGEST = 1e18;
/** The exponent of `LARGEST` as a float32 and a bfloat16 have it: 127 + floor(log2). */
const LARGEST_EXPONENT = 127 + Math.floor(Math.log2(LARGEST));

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
        ? halvesAreSmall(bytes)
        : encoding === 'float32'
          ? floatsAreSmall(bytes)
          : // Only the scales, which come first, are floating-point: lowest and step of each channel.
            chunk > 0 || floatsAreSmall(bytes.subarray(0, 8 * shape[3]));
    if (!good) throw new FrameError(`sample ${id}: a value that is no number, or above ${LARGEST}`);
  }
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** float32, little-endian. */
function floatsAreSmall(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  for (let at = 2; at < bytes.length; at += 4) if (!isSmall(view.getUint16(at, true))) return false;
  return true;
}

/** bfloat16, little-endian: the upper half of a float32. */
function halvesAreSmall(bytes: Uint8Array): boolean {
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; at += 2) if (!isSmall(view.getUint16(at, true))) return false;
  return true;
}

const isSmall = (upperHalf: number): boolean => ((upperHalf >> 7) & 0xff) < LARGEST_EXPONENT;
