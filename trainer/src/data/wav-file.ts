import { SAMPLE_RATE } from '@greedy-infomax/crds';
import { DataError } from './errors.ts';

const PCM = 1;
/** PCM with a longer header, whose first field is the format. */
const EXTENSIBLE = 0xfffe;
/** Sizes of a data chunk of unknown size. */
const UNKNOWN_SIZES = new Set([0, 0xffffffff]);
const WANTED = `${SAMPLE_RATE} samples a second of 16 bits, one channel`;

/** Returns the samples of a WAV file: 16 bits, one channel, 16 kHz. Throws a `DataError` that names `file`. */
export function decodeWav(bytes: Uint8Array, file: string): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') {
    throw new DataError(`${file} is not a WAV file; ${WANTED} would be right`);
  }
  let known = false;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (tag(at) === 'fmt ' && body + 16 <= bytes.length) {
      checkFormat(view, body, file);
      known = true;
    } else if (tag(at) === 'data' && known) {
      // A program that writes to a pipe does not know the size: the samples end with the file.
      const there = bytes.length - body;
      if (UNKNOWN_SIZES.has(size)) return samples(bytes, body, there);
      if (size > there) {
        throw new DataError(
          `${file} announces ${size} bytes of samples, but ${there} are there: it is cut short; fetch it again`,
        );
      }
      return samples(bytes, body, size);
    }
    at = body + size + (size & 1);
  }
  throw new DataError(`${file} is a WAV file without samples; is it cut short?`);
}

function checkFormat(view: DataView, at: number, file: string): void {
  const format = view.getUint16(at, true);
  const channels = view.getUint16(at + 2, true);
  const rate = view.getUint32(at + 4, true);
  const bits = view.getUint16(at + 14, true);
  const right =
    (format === PCM || format === EXTENSIBLE) &&
    channels === 1 &&
    bits === 16 &&
    rate === SAMPLE_RATE;
  if (!right) {
    throw new DataError(
      `${file} has ${rate} samples a second of ${bits} bits, ${channels} channel(s), in format ${format}; ${WANTED}, in format ${PCM} (PCM), would be right`,
    );
  }
}

/**
 * Copies samples to aligned memory for an Int16Array; supported machines are little-endian, like the file. Not with
 * `slice`, which does not copy a Buffer.
 */
const samples = (bytes: Uint8Array, at: number, size: number): Int16Array =>
  new Int16Array(new Uint8Array(bytes.subarray(at, at + (size & ~1))).buffer);
