import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** What the tests of data sets share. */

/** A folder that goes with the test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'data-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file and the folders above it; returns its path. */
export function put(folder: string, name: string, bytes: ArrayLike<number>): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, Uint8Array.from(bytes));
  return file;
}

/** An IDX file of unsigned bytes. */
export function idx(sizes: readonly number[], values: ArrayLike<number>): Uint8Array {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.set([0, 0, 8, sizes.length]);
  for (const [i, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, Uint8Array.from(values)]);
}

/** Training images of 6 x 5 pixels, each filled with its number. */
export function putIdxImages(folder: string, images: number, labels: readonly number[]): void {
  const pixels = Array.from({ length: images * 30 }, (_, i) => Math.floor(i / 30));
  put(folder, 'train-images-idx3-ubyte', idx([images, 6, 5], pixels));
  put(folder, 'train-labels-idx1-ubyte', idx([labels.length], labels));
}
