import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SAMPLE_RATE } from '@greedy-infomax/crds';
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

/** A WAV file of one channel, 16 bits a sample. */
export function wave(pcm: Int16Array, rate = SAMPLE_RATE): Uint8Array {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + pcm.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16); // bytes of the format
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // channel
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(2 * rate, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(pcm.byteLength, 40);
  return Buffer.concat([header, Buffer.from(pcm.buffer)]);
}
