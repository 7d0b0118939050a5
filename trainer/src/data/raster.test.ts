import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { DataError } from './errors.ts';
import { decodeRaster } from './raster.ts';
import { put, testFolder } from './testing/files.ts';

const pixels = sharp({ create: { width: 5, height: 4, channels: 3, background: '#102030' } });

const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';

describe('an image file', () => {
  it.each(['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const)(
    'is read by its content, whatever its name is: %s',
    async (format) => {
      const file = put(testFolder(), 'a.txt', await pixels.clone().toFormat(format).toBuffer());
      const { rows, cols, data } = await decodeRaster(file);
      expect({ rows, cols, bytes: data.length }).toEqual({ rows: 4, cols: 5, bytes: 60 });
    },
  );

  it.each([
    ['an SVG', SVG, 'is SVG or another XML text'],
    ['an SVG behind a comment', `<!-- x -->${SVG}`, 'is SVG or another XML text'],
    ['an SVG behind a byte order mark', `\ufeff<?xml version="1.0"?>${SVG}`, 'is SVG or another'],
    ['a PDF', '%PDF-1.7', 'is PDF'],
    ['a PNM', 'P6 1 1 255 abc', 'is PNM'],
    ['a BMP', 'BM123456', 'is BMP'],
    ['nothing', '', 'is empty'],
    ['a text', 'hello', 'is of no known format'],
  ])('called .png that is %s is refused for what it is', async (_, text, what) => {
    const file = put(testFolder(), 'a.png', new TextEncoder().encode(text));
    await expect(decodeRaster(file)).rejects.toThrow(DataError);
    await expect(decodeRaster(file)).rejects.toThrow(`${file} ${what}`);
    await expect(decodeRaster(file)).rejects.toThrow('png, jpg, webp, gif, tiff or avif');
  });

  it('cannot reach a loader that reads other files, even by way of the library itself', async () => {
    await expect(sharp(Buffer.from(SVG)).raw().toBuffer()).rejects.toThrow();
  });

  it('with too many pixels is refused by its header, without memory for them', async () => {
    const file = put(testFolder(), 'bomb.png', emptyPng(30_000, 30_000));
    await expect(decodeRaster(file)).rejects.toThrow(DataError);
    await expect(decodeRaster(file)).rejects.toThrow(
      /has 30000 x 30000 pixels; at most 64000000 in all are read/,
    );
  });

  it('of another size than the first is refused by its header', async () => {
    const file = put(testFolder(), 'big.png', emptyPng(7000, 7000));
    const size = { rows: 4, cols: 5, like: 'first.png' };
    await expect(decodeRaster(file, size)).rejects.toThrow(
      /has 7000 x 7000 pixels, first\.png has 4 x 5; bring all images to one size/,
    );
  });

  it('that is a folder, or not there, is refused', async () => {
    const folder = testFolder();
    await expect(decodeRaster(folder)).rejects.toThrow(DataError);
    await expect(decodeRaster(`${folder}/none.png`)).rejects.toThrow(/cannot read .*none\.png/);
  });
});

/** Returns a PNG with the header of a large image and the data of one row: decoding it fails. */
function emptyPng(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8); // 8 bits, RGB
  const row = deflateSync(Buffer.alloc(1 + 3 * width));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', row),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
