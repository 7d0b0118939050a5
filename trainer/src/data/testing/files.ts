import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { SAMPLE_RATE } from '@greedy-infomax/crds';
import { onTestFinished } from 'vitest';

/** Creates a folder that is removed after the test. */
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

/** Returns an IDX file of unsigned bytes. */
export function idx(sizes: readonly number[], values: ArrayLike<number>): Uint8Array {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.set([0, 0, 8, sizes.length]);
  for (const [i, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([header, Uint8Array.from(values)]);
}

/** Writes training images of 6 x 5 pixels, each filled with its index. */
export function putIdxImages(folder: string, images: number, labels: readonly number[]): void {
  const pixels = Array.from({ length: images * 30 }, (_, i) => Math.floor(i / 30));
  put(folder, 'train-images-idx3-ubyte', idx([images, 6, 5], pixels));
  put(folder, 'train-labels-idx1-ubyte', idx([labels.length], labels));
}

/** Returns a WAV file of one channel with 16 bits per sample. */
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

/** Returns a FLAC file of one uncompressed frame (RFC 9639). */
export function flac(pcm: Int16Array): Uint8Array {
  const info = Buffer.alloc(42);
  info.write('fLaC', 0);
  info.set([0x80, 0, 0, 34], 4); // the last block of metadata, of 34 bytes
  info.writeUInt16BE(pcm.length, 8); // least and
  info.writeUInt16BE(pcm.length, 10); // most samples of a frame
  info.writeUInt32BE(SAMPLE_RATE * 2 ** 12 + 15 * 2 ** 4, 18); // one channel, 15 + 1 bits a sample
  info.writeUInt32BE(pcm.length, 22);
  const head = Buffer.from([0xff, 0xf8, 0x75, 0x08, 0, 0, 0]); // length at the end, 16 kHz, 16 bits, frame 0
  head.writeUInt16BE(pcm.length - 1, 5);
  const body = Buffer.alloc(2 * pcm.length);
  for (const [i, value] of pcm.entries()) body.writeInt16BE(value, 2 * i);
  const frame = Buffer.concat([head, Buffer.from([crc(head, 8, 0x07), 0x02]), body]);
  const end = Buffer.alloc(2);
  end.writeUInt16BE(crc(frame, 16, 0x8005));
  return Buffer.concat([info, frame, end]);
}

function crc(bytes: Uint8Array, bits: number, polynomial: number): number {
  const top = 2 ** (bits - 1);
  let sum = 0;
  for (const byte of bytes) {
    sum ^= byte << (bits - 8);
    for (let i = 0; i < 8; i += 1) {
      sum = ((sum << 1) ^ (sum & top ? polynomial : 0)) & (2 * top - 1);
    }
  }
  return sum;
}
