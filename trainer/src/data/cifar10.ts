import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImageSet, imagesInMemory, type Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { readDataFile } from './files.ts';

/** Reads the binary release of CIFAR-10: records of a label and 32 x 32 pixels, planar by channel. */

const SIDE = 32;
const CHANNELS = 3;
const PLANE = SIDE * SIDE;
const IMAGE = PLANE * CHANNELS;
const RECORD = 1 + IMAGE;
const CLASSES = 10;

export async function openCifar10(folder: string, split: Split): Promise<ImageSet> {
  const files = split === 'test' ? [join(folder, 'test_batch.bin')] : await trainingFiles(folder);
  const records = Buffer.concat(await Promise.all(files.map(readRecords)));
  const count = records.length / RECORD;
  const labels = new Uint8Array(count);
  const pixels = new Uint8Array(count * IMAGE);
  for (let i = 0; i < count; i += 1) {
    const from = i * RECORD;
    labels[i] = records[from] as number;
    for (let at = 0; at < PLANE; at += 1) {
      for (let channel = 0; channel < CHANNELS; channel += 1) {
        pixels[i * IMAGE + at * CHANNELS + channel] = records[
          from + 1 + channel * PLANE + at
        ] as number;
      }
    }
  }
  return imagesInMemory(pixels, labels, [SIDE, SIDE, CHANNELS]);
}

async function trainingFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => /^data_batch_\d+\.bin$/.test(name)).sort();
  if (files.length === 0) {
    throw new DataError(
      `${folder} holds no data_batch_1.bin and so on; give the folder of the binary release of CIFAR-10`,
    );
  }
  return files.map((name) => join(folder, name));
}

async function readRecords(file: string): Promise<Uint8Array> {
  const bytes = await readDataFile(file, 'a batch of the binary release of CIFAR-10');
  if (bytes.length % RECORD !== 0) {
    throw new DataError(
      `${file} has ${bytes.length} bytes; a multiple of ${RECORD} would be right: is it cut short?`,
    );
  }
  for (let at = 0; at < bytes.length; at += RECORD) {
    const label = bytes[at] as number;
    if (label >= CLASSES) {
      throw new DataError(
        `${file} has the label ${label} at byte ${at}; labels are from 0 to ${CLASSES - 1}`,
      );
    }
  }
  return bytes;
}
