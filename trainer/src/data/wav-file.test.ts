import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from './errors.ts';
import { wave } from './testing/files.ts';
import { decodeWav } from './wav-file.ts';

const PCM = Int16Array.from({ length: 160 }, (_, i) => 100 * i - 8000);

/** Returns a WAV file with another size of its data chunk. */
function saying(size: number, bytes = Buffer.from(wave(PCM))): Buffer {
  bytes.writeUInt32LE(size, 40);
  return bytes;
}

describe('a WAV file', () => {
  it.each([0, 0xffffffff])(
    'whose writer did not know the size, and wrote %i, is read to its end',
    (size) => {
      expect(decodeWav(saying(size), 'a.wav')).toEqual(PCM);
    },
  );

  it('that is cut short is refused with both numbers', () => {
    const cut = Buffer.from(wave(PCM)).subarray(0, 200);
    expect(() => decodeWav(cut, 'a.wav')).toThrow(DataError);
    expect(() => decodeWav(cut, 'a.wav')).toThrow(
      'a.wav announces 320 bytes of samples, but 156 are there: it is cut short',
    );
    expect(() => decodeWav(saying(0xfffffffe), 'a.wav')).toThrow(/announces 4294967294 bytes/);
  });

  it('returns samples or a DataError for any bytes, and no more samples than the file has', () => {
    const good = wave(PCM);
    const edit = fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(
        fc.array(edit, { maxLength: 6 }),
        fc.nat({ max: good.length }),
        fc.boolean(),
        (edits, cut, cuts) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of edits) bytes[at] = value;
          const file = cuts ? bytes.subarray(0, cut) : bytes;
          try {
            expect(decodeWav(file, 'a.wav').byteLength).toBeLessThanOrEqual(file.length);
          } catch (error) {
            expect(error).toBeInstanceOf(DataError);
          }
        },
      ),
      { seed: 29, numRuns: 3000 },
    );
  });
});
