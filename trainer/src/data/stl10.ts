import { join } from 'node:path';
import { classesOf, type ImageSet, pickLabels, type Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { openRecords, readDataFile } from './files.ts';

/** Reads the binary release of STL-10: 96 x 96 images, planar by channel, each in column-major order. */

const SIDE = 96;
const CHANNELS = 3;
const PLANE = SIDE * SIDE;
const IMAGE = PLANE * CHANNELS;
const CLASSES = 10;
const NAME: Record<Split, string> = { train: 'unlabeled', labelled: 'train', test: 'test' };

export async function openStl10(folder: string, split: Split): Promise<ImageSet> {
  const images = await openRecords(
    join(folder, `${NAME[split]}_X.bin`),
    IMAGE,
    'images of the binary release of STL-10',
  );
  const labels =
    split === 'train'
      ? null
      : await readLabels(join(folder, `${NAME[split]}_y.bin`), images.length);
  return {
    length: images.length,
    shape: [SIDE, SIDE, CHANNELS],
    classes: classesOf(labels),
    async read(indices) {
      const pixels = transpose(await images.read(indices), indices.length);
      return { pixels, labels: pickLabels(labels, indices) };
    },
  };
}

/** Reads labels; the file counts classes from 1. */
async function readLabels(file: string, count: number): Promise<Uint8Array> {
  const labels = await readDataFile(file, 'labels of the binary release of STL-10');
  if (labels.length !== count) {
    throw new DataError(
      `${file} has ${labels.length} labels; ${count}, one per image, would be right`,
    );
  }
  const wrong = labels.find((label) => label < 1 || label > CLASSES);
  if (wrong !== undefined) {
    throw new DataError(`${file} has the label ${wrong}; labels are from 1 to ${CLASSES}`);
  }
  return labels.map((label) => label - 1);
}

/** Transposes [images, channels, cols, rows] to [images, rows, cols, channels]. */
function transpose(bytes: Uint8Array, images: number): Uint8Array {
  const pixels = new Uint8Array(bytes.length);
  let at = 0;
  for (let image = 0; image < images; image += 1) {
    for (let row = 0; row < SIDE; row += 1) {
      for (let col = 0; col < SIDE; col += 1) {
        const from = image * IMAGE + col * SIDE + row;
        for (let channel = 0; channel < CHANNELS; channel += 1) {
          pixels[at] = bytes[from + channel * PLANE] as number;
          at += 1;
        }
      }
    }
  }
  return pixels;
}
