import fc from 'fast-check';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import type { ImageSet } from './dataset.ts';
import { DataError } from './errors.ts';
import { decodeFlac } from './flac.ts';
import { openImages } from './open.ts';
import { decodeRaster } from './raster.ts';
import { flac, idx, put, testFolder } from './testing/files.ts';

/** Damaged files of every format: each is read or refused with a `DataError`. */

/** Returns a valid file with a few changed bytes, most of them near its start, or another length. */
const damaged = (good: Uint8Array): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      fc.array(
        fc.tuple(
          fc.oneof(
            fc.nat({ max: Math.min(80, good.length) - 1 }),
            fc.nat({ max: good.length - 1 }),
          ),
          fc.nat({ max: 255 }),
        ),
        { maxLength: 4 },
      ),
      fc.oneof(fc.constant(good.length), fc.nat({ max: good.length + 20 })),
    )
    .map(([edits, length]) => {
      const file = Buffer.alloc(length);
      file.set(good.subarray(0, length));
      for (const [at, value] of edits) if (at < length) file[at] = value;
      return file;
    });

/** Reads each file; fails for any error but a `DataError`. Returns the number of files that were read. */
async function readAll(
  files: readonly Buffer[],
  read: (file: Buffer, i: number) => Promise<unknown>,
): Promise<number> {
  let good = 0;
  for (const [i, file] of files.entries()) {
    try {
      await read(file, i);
      good += 1;
    } catch (error) {
      expect(error, file.toString('hex', 0, 100)).toBeInstanceOf(DataError);
    }
  }
  return good;
}

const samples = (good: Uint8Array, numRuns: number) =>
  fc.sample(damaged(good), { seed: 29, numRuns });

it.each(['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const)('images: %s', async (format) => {
  const noise = Buffer.from(Array.from({ length: 12 * 10 * 3 }, (_, i) => (i * 7919) % 256));
  const good = await sharp(noise, { raw: { width: 12, height: 10, channels: 3 } })
    .toFormat(format)
    .toBuffer();
  const folder = testFolder();
  const read = await readAll(samples(good, 120), (bytes, i) =>
    decodeRaster(put(folder, `${i}.png`, bytes)),
  );
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(120);
});

it('FLAC files', async () => {
  const good = flac(Int16Array.from({ length: 400 }, (_, i) => 50 * i - 9000));
  const read = await readAll(samples(good, 200), (bytes) => decodeFlac(bytes, 'a.flac'));
  expect(read).toBeGreaterThan(0);
  expect(read).toBeLessThan(200);
});

it('a FLAC file of another rate, of several channels or of days is refused by its header', async () => {
  const good = Buffer.from(flac(new Int16Array(100)));
  const refused = async (edit: (file: Buffer) => void, why: RegExp) => {
    const file = Buffer.from(good);
    edit(file);
    await expect(decodeFlac(file, 'a.flac')).rejects.toThrow(why);
  };
  await refused(
    (file) => file.writeUInt32BE(44_100 * 2 ** 12 + 15 * 16, 18),
    /has 44100 samples a second/,
  );
  await refused(
    (file) => file.writeUInt32BE(16_000 * 2 ** 12 + 7 * 2 ** 9 + 15 * 16, 18),
    /8 channel/,
  );
  await refused(
    (file) => file.writeUInt32BE(0xffffffff, 22),
    /announces 4294967295 samples; at most/,
  );
});

it('IDX, CIFAR-10 and STL-10 files', async () => {
  const all = async (set: ImageSet) => {
    const { pixels } = await set.read(Array.from({ length: set.length }, (_, i) => i));
    expect(pixels.length).toBeLessThan(1e6);
  };
  const images = idx([3, 4, 4], new Uint8Array(48));
  await readAll(samples(images, 300), async (bytes) => {
    const path = testFolder();
    put(path, 'train-images-idx3-ubyte', bytes);
    put(path, 'train-labels-idx1-ubyte', idx([3], [0, 1, 2]));
    await all(await openImages({ format: 'idx', path }, 'labelled'));
  });
  await readAll(samples(new Uint8Array(2 * 3073), 100), async (bytes) => {
    const path = testFolder();
    put(path, 'data_batch_1.bin', bytes);
    await all(await openImages({ format: 'cifar10', path }, 'train'));
  });
  await readAll(samples(new Uint8Array(2).fill(1), 50), async (bytes) => {
    const path = testFolder();
    put(path, 'train_X.bin', new Uint8Array(2 * 27_648));
    put(path, 'train_y.bin', bytes);
    await all(await openImages({ format: 'stl10', path }, 'labelled'));
  });
});
