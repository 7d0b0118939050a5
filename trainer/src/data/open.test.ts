import { appendFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Data } from '@greedy-infomax/crds';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { openImages } from './open.ts';
import { idx, put, putIdxImages, testFolder } from './testing/files.ts';

const open = (format: Data['format'], path: string | undefined, split: Split = 'labelled') =>
  openImages({ format, path }, split);

async function refuses(opened: Promise<unknown>, message: RegExp): Promise<void> {
  await expect(opened).rejects.toThrow(DataError);
  await expect(opened).rejects.toThrow(message);
}

describe('digits', () => {
  it('splits 10,000 digits of ten classes into four fifths and a fifth', async () => {
    const training = await open('digits', undefined);
    const test = await open('digits', undefined, 'test');
    expect([training.length, test.length]).toEqual([8000, 2000]);
    expect([training.shape, training.classes, test.classes]).toEqual([[28, 28, 1], 10, 10]);

    const all = await training.read(Array.from({ length: 8000 }, (_, i) => i));
    const counts = Array.from({ length: 10 }, (_, d) => all.labels.filter((l) => l === d).length);
    expect(counts.every((count) => count > 650)).toBe(true);
    const mean = all.pixels.reduce((sum, x) => sum + x, 0) / all.pixels.length / 255;
    expect(mean).toBeCloseTo(0.13, 1); // the known mean of these digits
    expect(all.pixels.includes(255)).toBe(true);
  });
});

describe('IDX files', () => {
  it('give their images and labels, plain or packed', async () => {
    const folder = testFolder();
    const images = idx([2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    put(folder, 't10k-images-idx3-ubyte.gz', gzipSync(images));
    put(folder, 't10k-labels.idx1-ubyte', idx([2], [4, 2]));
    const set = await open('idx', folder, 'test');
    expect([set.length, set.shape, set.classes]).toEqual([2, [2, 3, 1], 5]);
    expect(await set.read([1, 0, 1])).toEqual({
      pixels: Uint8Array.of(7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
      labels: Int32Array.of(2, 4, 2),
    });
  });

  it('need labels only for splits with labels', async () => {
    const folder = testFolder();
    putIdxImages(folder, 3, [0, 1, 2]);
    rmSync(join(folder, 'train-labels-idx1-ubyte'));
    const set = await open('idx', folder, 'train');
    expect([set.classes, (await set.read([2])).labels]).toEqual([0, Int32Array.of(-1)]);
    await refuses(open('idx', folder), /train-labels-idx1-ubyte.*ENOENT.*an IDX file/);
  });

  it('are refused when missing, cut short, of another kind, or unequal in number', async () => {
    const folder = testFolder();
    await refuses(open('idx', folder), /train-images-idx3-ubyte.*ENOENT/);
    putIdxImages(folder, 3, [0, 1]);
    await refuses(open('idx', folder), /has 2 labels;.*has 3 images/);
    truncateSync(join(folder, 'train-images-idx3-ubyte'), 50);
    await refuses(open('idx', folder), /holds 34 bytes.*3 x 6 x 5 want 90.*cut short/);
    put(folder, 'train-images-idx3-ubyte', [0, 0, 13, 3]);
    await refuses(open('idx', folder), /begins with the bytes 0 0 13 3;.*begins with 0 0 8 3/);
    rmSync(join(folder, 'train-images-idx3-ubyte'));
    const packed = gzipSync(idx([1, 1, 1], [1]));
    put(folder, 'train-images-idx3-ubyte.gz', packed.subarray(0, packed.length - 9));
    await refuses(open('idx', folder), /is not a whole gzip file/);
    put(folder, 'train-images-idx3-ubyte.gz', gzipSync(idx([0, 6, 5], [])));
    put(folder, 'train-labels-idx1-ubyte', idx([0], []));
    await refuses(open('idx', folder), /no image for labelled/);
  });
});

/** Returns a byte that depends on image, row, column and channel. */
const telling = (image: number, row: number, col: number, channel: number): number =>
  (image * 101 + row * 31 + col * 7 + channel * 3) % 256;

describe('STL-10', () => {
  /** Pixels planar by channel, in column-major order, as in the release. */
  const images = (count: number): Uint8Array => {
    const bytes = new Uint8Array(count * 3 * 96 * 96);
    let at = 0;
    for (let image = 0; image < count; image += 1)
      for (let channel = 0; channel < 3; channel += 1)
        for (let col = 0; col < 96; col += 1)
          for (let row = 0; row < 96; row += 1) bytes[at++] = telling(image, row, col, channel);
    return bytes;
  };

  it('is turned upright, with classes counted from 0', async () => {
    const folder = testFolder();
    put(folder, 'test_X.bin', images(3));
    put(folder, 'test_y.bin', [1, 10, 3]);
    const set = await open('stl10', folder, 'test');
    expect([set.length, set.shape, set.classes]).toEqual([3, [96, 96, 3], 10]);
    const { pixels, labels } = await set.read([2, 0]);
    expect(labels).toEqual(Int32Array.of(2, 0));
    const expected = [2, 0].flatMap((image) =>
      Array.from({ length: 96 * 96 * 3 }, (_, i) =>
        telling(image, Math.floor(i / 288), Math.floor(i / 3) % 96, i % 3),
      ),
    );
    expect(Buffer.compare(pixels, Uint8Array.from(expected))).toBe(0);
  });

  it('trains on the images without labels', async () => {
    const folder = testFolder();
    put(folder, 'unlabeled_X.bin', images(2));
    const set = await open('stl10', folder, 'train');
    expect([set.length, set.classes]).toEqual([2, 0]);
    expect((await set.read([1])).labels).toEqual(Int32Array.of(-1));
  });

  it('is refused when missing, cut short, or labelled wrongly', async () => {
    const folder = testFolder();
    await refuses(open('stl10', folder, 'train'), /unlabeled_X\.bin.*ENOENT.*STL-10/);
    const file = put(folder, 'train_X.bin', images(2));
    await refuses(open('stl10', folder), /train_y\.bin/);
    put(folder, 'train_y.bin', [1]);
    await refuses(open('stl10', folder), /has 1 labels; 2/);
    put(folder, 'train_y.bin', [1, 0]);
    await refuses(open('stl10', folder), /has the label 0; labels are from 1 to 10/);
    put(folder, 'train_y.bin', [1, 2]);
    const set = await open('stl10', folder);
    truncateSync(file, 3 * 96 * 96 + 5);
    await refuses(set.read([1]), /train_X\.bin ends within record 1/);
    await refuses(open('stl10', folder), /27653 bytes.*multiple of 27648.*cut short/);
  });
});

describe('CIFAR-10', () => {
  const record = (label: number, image: number): number[] => [
    label,
    ...Array.from({ length: 3072 }, (_, i) =>
      telling(image, Math.floor(i / 32) % 32, i % 32, Math.floor(i / 1024)),
    ),
  ];

  it('joins its batches and puts the channels of a pixel together', async () => {
    const folder = testFolder();
    put(folder, 'data_batch_2.bin', record(9, 2));
    put(folder, 'data_batch_1.bin', [...record(3, 0), ...record(5, 1)]);
    put(folder, 'test_batch.bin', record(1, 7));
    const set = await open('cifar10', folder, 'train');
    expect([set.length, set.shape, set.classes]).toEqual([3, [32, 32, 3], 10]);
    const { pixels, labels } = await set.read([2, 1]);
    expect(labels).toEqual(Int32Array.of(9, 5));
    const expected = [2, 1].flatMap((image) =>
      Array.from({ length: 3072 }, (_, i) =>
        telling(image, Math.floor(i / 96), Math.floor(i / 3) % 32, i % 3),
      ),
    );
    expect(pixels).toEqual(Uint8Array.from(expected));
    expect((await open('cifar10', folder, 'test')).length).toBe(1);
  });

  it('is refused when missing, cut short, or labelled wrongly', async () => {
    const folder = testFolder();
    await refuses(open('cifar10', folder), /holds no data_batch_1\.bin/);
    await refuses(open('cifar10', folder, 'test'), /test_batch\.bin.*ENOENT/);
    const file = put(folder, 'test_batch.bin', [...record(1, 0), ...record(10, 1)]);
    await refuses(open('cifar10', folder, 'test'), /the label 10 at byte 3073; labels are from 0/);
    appendFileSync(file, 'x');
    await refuses(open('cifar10', folder, 'test'), /6147 bytes; a multiple of 3073.*cut short/);
  });
});

describe('a folder of images', () => {
  const WHITE = [255, 255, 255];
  async function putImage(
    folder: string,
    name: string,
    pixel: number[],
    { width = 4, height = 3 } = {},
  ): Promise<string> {
    const data = Buffer.from(Array.from({ length: width * height }, () => pixel).flat());
    const channels = pixel.length as 1 | 3 | 4;
    const png = await sharp(data, { raw: { width, height, channels } }).png().toBuffer();
    return put(folder, name, png);
  }

  it('numbers classes by name and reads every image as RGB', async () => {
    const folder = testFolder();
    await putImage(folder, 'train/dog/1.png', [1, 2, 3]);
    await putImage(folder, 'train/cat/2.png', [7]);
    await putImage(folder, 'train/cat/more/1.PNG', [4, 5, 6, 128]);
    put(folder, 'train/cat/readme.txt', [1]);
    await putImage(folder, 'test/dog/1.png', WHITE);
    const set = await open('images', folder);
    expect([set.length, set.shape, set.classes]).toEqual([3, [3, 4, 3], 2]);
    const { pixels, labels } = await set.read([0, 1, 2]);
    expect(labels).toEqual(Int32Array.of(0, 0, 1));
    expect([0, 36, 72].map((at) => [...pixels.subarray(at, at + 3)])).toEqual([
      [7, 7, 7],
      [4, 5, 6],
      [1, 2, 3],
    ]);
    const test = await open('images', folder, 'test');
    expect([test.length, test.classes]).toEqual([1, 2]);
    expect((await test.read([0])).labels).toEqual(Int32Array.of(1));
  });

  it('trains on the images without labels if there are any', async () => {
    const folder = testFolder();
    await putImage(folder, 'train/cat/1.png', WHITE);
    expect((await open('images', folder, 'train')).classes).toBe(1);
    await putImage(folder, 'unlabeled/1.png', WHITE);
    await putImage(folder, 'unlabeled/2.png', WHITE);
    const set = await open('images', folder, 'train');
    expect([set.length, set.classes]).toEqual([2, 0]);
  });

  it('is refused when missing, empty, unequal in size or classes, or damaged', async () => {
    const folder = testFolder();
    await refuses(open('images', folder), /cannot read .*train; it should hold a folder/);
    put(folder, 'train/cat/readme.txt', [1]);
    await refuses(open('images', folder), /train holds no image files; png, jpg/);
    await putImage(folder, 'train/cat/1.png', WHITE);
    await putImage(folder, 'train/cat/2.png', WHITE, { width: 5 });
    put(folder, 'train/cat/3.jpg', [0xff, 0xd8, 0xff, 1, 2, 3]);
    put(folder, 'train/cat/4.jpg', [1, 2, 3]);
    const set = await open('images', folder);
    await refuses(set.read([0, 1]), /2\.png has 3 x 5 pixels, .*1\.png has 3 x 4; bring all/);
    await refuses(set.read([2]), /3\.jpg is not a whole image.*repair or remove it/);
    await refuses(set.read([3]), /4\.jpg is of no known format.*png, jpg, .* would be right/);
    await putImage(folder, 'test/horse/1.png', WHITE);
    await refuses(
      open('images', folder, 'test'),
      /test has the classes horse, which .*train lacks/,
    );
  });
});

it('a format without its folder is refused', async () => {
  await refuses(open('idx', undefined), /idx has no path; give the folder/);
});
