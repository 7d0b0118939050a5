import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageSet, imageBytes, pickLabels, type Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { filesBelow, folderNames } from './files.ts';
import { decodeRaster, RASTER_FORMATS } from './raster.ts';

/**
 * A folder of image files: train/CLASS/… and test/CLASS/…, and unlabeled/… to train on where there is one.
 * Every image has the same rows and columns; all become RGB.
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
  // Numbered over both: a class that one of them lacks must not shift the others.
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
