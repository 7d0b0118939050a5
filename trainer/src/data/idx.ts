import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { type ImageSet, imagesInMemory, type Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { readDataFile } from './files.ts';

/** Reads IDX files, such as MNIST: two bytes 0, the type, the number of sizes, the sizes, the values. */

const UNSIGNED_BYTES = 0x08;
const PREFIX: Record<Split, string> = { train: 'train', labelled: 'train', test: 't10k' };

/** Opens a folder of IDX files. The training split needs no labels. */
export async function openIdx(folder: string, split: Split): Promise<ImageSet> {
  const imageFile = find(folder, `${PREFIX[split]}-images`, 'idx3');
  const labelFile = find(folder, `${PREFIX[split]}-labels`, 'idx1');
  const { sizes, values } = await readIdx(imageFile, 3);
  const [count, rows, cols] = sizes as [number, number, number];
  const labels =
    split === 'train' && !existsSync(labelFile) ? null : (await readIdx(labelFile, 1)).values;
  if (labels !== null && labels.length !== count) {
    throw new DataError(
      `${labelFile} has ${labels.length} labels; ${imageFile} has ${count} images: one label per image would be right`,
    );
  }
  return imagesInMemory(values, labels, [rows, cols, 1]);
}

/** Finds a file; releases differ in the separator of its name and in compression. */
function find(folder: string, name: string, kind: string): string {
  const usual = join(folder, `${name}-${kind}-ubyte`);
  const names = [usual, `${usual}.gz`, join(folder, `${name}.${kind}-ubyte`)];
  return names.find((file) => existsSync(file)) ?? usual;
}

async function readIdx(file: string, dimensions: number) {
  const bytes = await unpacked(file, await readDataFile(file, 'an IDX file, also packed as .gz'));
  const headerBytes = 4 + 4 * dimensions;
  const magic = [0, 0, UNSIGNED_BYTES, dimensions];
  if (bytes.length < headerBytes || magic.some((byte, i) => bytes[i] !== byte)) {
    throw new DataError(
      `${file} begins with the bytes ${[...bytes.subarray(0, 4)].join(' ')}; an IDX file of unsigned bytes with ${dimensions} sizes begins with ${magic.join(' ')} and has at least ${headerBytes} bytes`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sizes = Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i));
  const values = bytes.subarray(headerBytes);
  const expected = sizes.reduce((product, size) => product * size, 1);
  if (values.length !== expected) {
    throw new DataError(
      `${file} holds ${values.length} bytes after its header; its sizes ${sizes.join(' x ')} want ${expected}: is it cut short?`,
    );
  }
  return { sizes, values };
}

/** Maximum bytes of a decompressed file: EMNIST has 640 MB. */
const MAX_UNPACKED = 2 ** 31 - 1;

async function unpacked(file: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (!file.endsWith('.gz')) return bytes;
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: MAX_UNPACKED });
  } catch (cause) {
    throw new DataError(`${file} is not a whole gzip file: ${(cause as Error).message}`, { cause });
  }
}
