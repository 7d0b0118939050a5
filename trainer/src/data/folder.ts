import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageSet, imageBytes, pickLabels, type Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { filesBelow, folderNames } from './files.ts';
import { decodeRaster, RASTER_FORMATS } from './raster.ts';

/**
 * Reads a folder of image files: train/CLASS/…, test/CLASS/…, and optionally unlabeled/…, which is then used for training.
 * All images must have the same size; all are converted to RGB.
 */

const IMAGE_FILE = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;
const CHANNELS = 3;

interface Entry {
  file: string;
  label: number;
}

export async function openFolder(folder: string, split: Split): Promise<ImageSet> {
  const unlabelled = join(folder, 'unlabeled');
  if (split === 'train' && existsSync(unlabelled)) {
    const files = await imageFiles(unlabelled);
    return imagesInFiles(
      files.map((file) => ({ file, label: -1 })),
      unlabelled,
      0,
    );
  }
  // Classes are numbered by the training part, so that a class that the test part lacks does not shift the others.
  const classes = await classNames(join(folder, 'train'));
  const root = join(folder, split === 'test' ? 'test' : 'train');
  const unknown = (await classNames(root)).filter((name) => !classes.includes(name));
  if (unknown.length > 0) {
    throw new DataError(
      `${root} has the classes ${unknown.join(', ')}, which ${join(folder, 'train')} lacks; both need the same folders`,
    );
  }
  const entries = await Promise.all(
    classes.map(async (name, label) =>
      (await imageFiles(join(root, name))).map((file) => ({ file, label })),
    ),
  );
  return imagesInFiles(entries.flat(), root, classes.length);
}

async function imagesInFiles(
  entries: readonly Entry[],
  root: string,
  classes: number,
): Promise<ImageSet> {
  const [first] = entries;
  if (!first) {
    throw new DataError(`${root} holds no image files; ${RASTER_FORMATS} would be right`);
  }
  const { rows, cols } = await decodeRaster(first.file);
  const shape = [rows, cols, CHANNELS] as const;
  const size = imageBytes(shape);
  const labels = entries.map(({ label }) => label);
  return {
    length: entries.length,
    shape,
    classes,
    async read(indices) {
      const pixels = new Uint8Array(indices.length * size);
      await Promise.all(
        indices.map(async (index, i) => {
          const { file } = entries[index] as Entry;
          const { data } = await decodeRaster(file, { rows, cols, like: first.file });
          pixels.set(data, i * size);
        }),
      );
      return { pixels, labels: pickLabels(labels, indices) };
    },
  };
}

const classNames = (root: string): Promise<string[]> =>
  folderNames(root, 'a folder of images for each class');

const imageFiles = (folder: string): Promise<string[]> => filesBelow(folder, IMAGE_FILE);
