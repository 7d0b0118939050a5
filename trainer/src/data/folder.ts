import { existsSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { type ImageSet, imageBytes, pickLabels, type Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { filesBelow, folderNames } from './files.ts';

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
    throw new DataError(`${root} holds no image files; png, jpg, webp, gif, tiff or avif are read`);
  }
  const { info } = await decode(first.file);
  const shape = [info.height, info.width, CHANNELS] as const;
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
          const image = await decode(file);
          if (image.info.height !== shape[0] || image.info.width !== shape[1]) {
            throw new DataError(
              `${file} has ${image.info.height} x ${image.info.width} pixels, ${first.file} has ${shape[0]} x ${shape[1]}; bring all images to one size`,
            );
          }
          pixels.set(image.data, i * size);
        }),
      );
      return { pixels, labels: pickLabels(labels, indices) };
    },
  };
}

async function decode(file: string) {
  try {
    return await sharp(file)
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
  } catch (cause) {
    throw new DataError(
      `${file} is not a whole image: ${(cause as Error).message}; mend it or take it away`,
      { cause },
    );
  }
}

const classNames = (root: string): Promise<string[]> =>
  folderNames(root, 'a folder of images for each class');

const imageFiles = (folder: string): Promise<string[]> => filesBelow(folder, IMAGE_FILE);
