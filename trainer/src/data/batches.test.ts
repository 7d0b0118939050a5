import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Augmentation } from '@greedy-infomax/crds';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openBatches, openEvaluationImages } from './batches.ts';
import { DataError } from './errors.ts';
import { datasetIndex } from './order.ts';
import { idx, put, putIdxImages, testFolder } from './testing/files.ts';

const augmentation: Augmentation = { pad: 1, crop: 4, flip: true, grayscale: false };
const LABELS = [0, 1, 2, 0, 1, 2, 0];

function idxSource() {
  const path = testFolder();
  putIdxImages(path, LABELS.length, LABELS);
  return { data: { format: 'idx' as const, path }, augmentation };
}

const opened = (source: ReturnType<typeof idxSource>, start = 0, batchSize = 3) =>
  openBatches({ ...source, split: 'train', seed: 11, batchSize, start });

async function take(batches: Awaited<ReturnType<typeof openBatches>>, count: number) {
  const taken = [];
  for (let i = 0; i < count; i += 1) taken.push(await batches.next());
  return taken;
}

describe('batches', () => {
  it('show every image once an epoch, across the borders of batches', async () => {
    const batches = await opened(idxSource());
    const taken = await take(batches, 7);
    const ids = taken.flatMap((batch) => [...batch.ids]);
    expect(ids).toEqual(Array.from({ length: 21 }, (_, i) => i));
    const labels = taken.flatMap((batch) => [...batch.labels]);
    for (let epoch = 0; epoch < 3; epoch += 1) {
      expect(labels.slice(epoch * 7, epoch * 7 + 7).sort()).toEqual(LABELS.toSorted());
    }
    for (const { bytes, labels } of taken) {
      expect(bytes).toHaveLength(3 * 16);
      for (const [i, label] of labels.entries()) {
        // Each image is filled with its number; the rest is padding.
        const image = Math.max(...bytes.subarray(16 * i, 16 * i + 16));
        expect(LABELS[image]).toBe(label);
      }
    }
  });

  it('continue exactly where another reader stopped, independent of reading ahead', async () => {
    const source = idxSource();
    const whole = await take(await opened(source), 6);
    const first = await opened(source);
    await take(first, 4);
    await new Promise((resolve) => setTimeout(resolve, 20)); // time to read ahead
    expect(first.position).toBe(12);
    const second = await opened(source, first.position);
    expect(second.position).toBe(12);
    expect(await take(second, 2)).toEqual(whole.slice(4));
  });

  it('crop and mirror an image differently with another seed', async () => {
    const path = testFolder();
    put(
      path,
      'train-images-idx3-ubyte',
      idx(
        [1, 6, 5],
        Uint8Array.from({ length: 30 }).map((_, i) => i),
      ),
    );
    put(path, 'train-labels-idx1-ubyte', idx([1], [0]));
    const source = { data: { format: 'idx' as const, path }, augmentation };
    const bytes = async (seed: number) => {
      const batches = await openBatches({
        ...source,
        split: 'train',
        seed,
        batchSize: 1,
        start: 0,
      });
      return (await take(batches, 10)).map((batch) => [...batch.bytes]);
    };
    expect(await bytes(1)).toEqual(await bytes(1));
    expect(await bytes(2)).not.toEqual(await bytes(1));
  });

  it('larger than the data set are refused, naming both', async () => {
    const refused = opened(idxSource(), 0, 8);
    await expect(refused).rejects.toThrow(DataError);
    await expect(refused).rejects.toThrow(/batchSize is 8, but .* has 7 images for train/);
  });

  it('throw the error of a batch read ahead when it is requested, and do not skip it', async () => {
    const path = testFolder();
    const image = { width: 6, height: 6, channels: 3 as const, background: 'white' };
    put(path, 'unlabeled/0.png', await sharp({ create: image }).png().toBuffer());
    const damaged = put(path, 'unlabeled/1.png', [1, 2, 3]);
    const seeds = Array.from({ length: 100 }, (_, seed) => seed);
    const batches = await openBatches({
      data: { format: 'images', path },
      augmentation,
      split: 'train',
      seed: seeds.find((seed) => datasetIndex(0, 2, seed) === 0) as number,
      batchSize: 1,
      start: 0,
    });
    expect((await batches.next()).ids).toEqual(Float64Array.of(0));
    await new Promise((resolve) => setTimeout(resolve, 20)); // time to read ahead
    await expect(batches.next()).rejects.toThrow(/1\.png is of no known format/);
    expect(batches.position).toBe(1);
    copyFileSync(join(path, 'unlabeled/0.png'), damaged);
    expect((await batches.next()).ids).toEqual(Float64Array.of(1));
  });
});

describe('images for evaluation', () => {
  it('come once each, in order, cropped at the centre, with a shorter last batch', async () => {
    const images = await openEvaluationImages({ ...idxSource(), split: 'labelled', batchSize: 3 });
    expect([images.length, images.classes]).toEqual([7, 3]);
    const read = async () => {
      const taken = [];
      for await (const batch of images.batches()) taken.push(batch);
      return taken;
    };
    const taken = await read();
    expect(taken.map(({ labels }) => [...labels])).toEqual([[0, 1, 2], [0, 1, 2], [0]]);
    // Each image is filled with its number.
    const pixels = taken.flatMap((batch) => [...batch.pixels]);
    expect(pixels).toEqual(Array.from({ length: 7 * 16 }, (_, i) => Math.floor(i / 16)));
    expect(await read()).toEqual(taken);
  });
});
