import { open } from 'node:fs/promises';
import sharp from 'sharp';
import { DataError } from './errors.ts';

/**
 * Decodes images of raster formats. The content determines the format, never the name. Other loaders of the library are
 * blocked in this process, because they read local files (SVG), run for minutes or take gigabytes.
 */

/** Names of the allowed loaders of libvips; all others are blocked. */
const LOADERS = ['Jpeg', 'Png', 'Webp', 'Gif', 'Nsgif', 'Tiff', 'Heif'].flatMap((format) =>
  ['File', 'Buffer', 'Source'].map((from) => `VipsForeignLoad${format}${from}`),
);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: LOADERS });

/** Formats by the first bytes of a file. */
const RASTER: readonly [name: string, matches: (head: Buffer) => boolean][] = [
  ['PNG', (head) => head.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n'],
  ['JPEG', (head) => head.toString('latin1', 0, 3) === '\xff\xd8\xff'],
  ['GIF', (head) => /^GIF8[79]a/.test(head.toString('latin1', 0, 6))],
  ['WebP', (head) => /^RIFF.{4}WEBP/s.test(head.toString('latin1', 0, 12))],
  ['TIFF', (head) => /^(II[*+]\0|MM\0[*+])/.test(head.toString('latin1', 0, 4))],
  ['AVIF', (head) => /^.{4}ftyp.{0,56}avi[fs]/s.test(head.toString('latin1', 0, 68))],
];
/** Other formats that are easily mistaken for raster images, for the message. */
const OTHERS: readonly [name: string, pattern: RegExp | string][] = [
  ['SVG or another XML text', /^(\xef\xbb\xbf)?\s*(<\?xml|<!--|<!DOCTYPE|<svg)/i],
  ['PDF', /^%PDF/],
  ['PostScript', /^%!PS/],
  ['a gzip file', '\x1f\x8b'],
  ['BMP', /^BM/],
  ['PNM', /^P[1-7]\s/],
  ['HEIC', /^.{4}ftyp/s],
  ['JPEG 2000', '\0\0\0\x0cjP'],
  ['HTML', /^\s*<html/i],
];
const HEAD_BYTES = 256;
export const RASTER_FORMATS = 'png, jpg, webp, gif, tiff or avif';

/** Maximum number of pixels of an image: 192 MB decoded. */
export const MAX_PIXELS = 64_000_000;
/** Maximum seconds to decode an image. */
const MAX_SECONDS = 30;

export interface Raster {
  /** Bytes [rows, cols, 3]. */
  data: Buffer;
  rows: number;
  cols: number;
}

/**
 * Decodes a file to RGB. `size`: required rows and columns. Checks the size in the header before it decodes pixels.
 * @throws DataError if the file is not a raster image, is damaged, has another size or too many pixels
 */
export async function decodeRaster(
  file: string,
  size?: { rows: number; cols: number; like: string },
): Promise<Raster> {
  await checkFormat(file);
  try {
    // Only the header is read here; the library's own limit would hide the numbers from the message.
    const { height: rows, width: cols } = await load(file, false).metadata();
    if (size && (rows !== size.rows || cols !== size.cols)) {
      throw new DataError(
        `${file} has ${rows} x ${cols} pixels, ${size.like} has ${size.rows} x ${size.cols}; bring all images to one size`,
      );
    }
    if (rows * cols > MAX_PIXELS) {
      throw new DataError(
        `${file} has ${rows} x ${cols} pixels; at most ${MAX_PIXELS} in all are read: scale it down`,
      );
    }
    const data = await load(file).toColourspace('srgb').removeAlpha().raw().toBuffer();
    return { data, rows, cols };
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(
      `${file} is not a whole image: ${(cause as Error).message}; repair or remove it`,
      { cause },
    );
  }
}

const load = (file: string, limitInputPixels: number | false = MAX_PIXELS) =>
  sharp(file, { limitInputPixels }).timeout({ seconds: MAX_SECONDS });

async function checkFormat(file: string): Promise<void> {
  const head = await readHead(file);
  if (RASTER.some(([, matches]) => matches(head))) return;
  const text = head.toString('latin1');
  const [found] =
    OTHERS.find(([, pattern]) =>
      typeof pattern === 'string' ? text.startsWith(pattern) : pattern.test(text),
    ) ?? [];
  const what = head.length === 0 ? 'is empty' : found ? `is ${found}` : 'is of no known format';
  throw new DataError(
    `${file} ${what}, not a raster image; ${RASTER_FORMATS} would be right: convert or remove it`,
  );
}

async function readHead(file: string): Promise<Buffer> {
  try {
    const handle = await open(file, 'r');
    try {
      if (!(await handle.stat()).isFile()) throw new DataError(`${file} is not a file`);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`cannot read ${file} (${(cause as Error).message})`, { cause });
  }
}
