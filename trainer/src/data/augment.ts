import type { Augmentation } from '@greedy-infomax/crds';
import { DataError } from './errors.ts';
import { hash32 } from './order.ts';

/** Shape of a batch of images. */
type BatchShape = readonly [images: number, rows: number, cols: number, channels: number];

/** Offset of a crop in a padded image. */
interface Window {
  row: number;
  col: number;
  flip: boolean;
}

/**
 * Augments images by `augmentation`: pads, crops at random, flips half of them, converts colours to luma. Bytes of `shape`
 * become bytes [images, crop, crop, channels or 1]. Draws depend on `seed` and the image's ordinal only.
 * @throws DataError if the crop does not fit
 */
export function augment(
  pixels: Uint8Array,
  shape: BatchShape,
  augmentation: Augmentation,
  ordinals: Float64Array,
  seed: number,
): Uint8Array {
  const [rows, cols] = slack(shape, augmentation);
  return cut(pixels, shape, augmentation, (image) => {
    const draws = hash32(seed, ordinals[image] as number);
    return {
      row: hash32(draws, 0) % (rows + 1),
      col: hash32(draws, 1) % (cols + 1),
      flip: augmentation.flip && (hash32(draws, 2) & 1) === 1,
    };
  });
}

/** Pads and crops the centre of each image, without flips. Throws a `DataError` if the crop does not fit. */
export function cropCentre(
  pixels: Uint8Array,
  shape: BatchShape,
  augmentation: Augmentation,
): Uint8Array {
  const [rows, cols] = slack(shape, augmentation);
  const centre = { row: rows >> 1, col: cols >> 1, flip: false };
  return cut(pixels, shape, augmentation, () => centre);
}

/** Returns the rows and columns that the padded image has beyond the crop. */
function slack([, rows, cols]: BatchShape, { pad, crop }: Augmentation): [number, number] {
  const [paddedRows, paddedCols] = [rows + 2 * pad, cols + 2 * pad];
  if (crop > paddedRows || crop > paddedCols) {
    throw new DataError(
      `augmentation.crop is ${crop}, but images are ${rows} x ${cols}, with padding ${paddedRows} x ${paddedCols}; make crop smaller or pad larger`,
    );
  }
  return [paddedRows - crop, paddedCols - crop];
}

function cut(
  pixels: Uint8Array,
  [images, rows, cols, channels]: BatchShape,
  { pad, crop, grayscale }: Augmentation,
  windowOf: (image: number) => Window,
): Uint8Array {
  const luma = grayscale && channels === 3;
  const outChannels = luma ? 1 : channels;
  const out = new Uint8Array(images * crop * crop * outChannels); // zeros: the padding
  for (let image = 0; image < images; image += 1) {
    const window = windowOf(image);
    const top = window.row - pad;
    const left = window.col - pad;
    const firstCol = Math.max(0, -left);
    const endCol = Math.min(crop, cols - left);
    const step = window.flip ? -outChannels : outChannels;
    for (let row = Math.max(0, -top); row < Math.min(crop, rows - top); row += 1) {
      let from = ((image * rows + top + row) * cols + left + firstCol) * channels;
      const target = (image * crop + row) * crop;
      let to = (target + (window.flip ? crop - 1 - firstCol : firstCol)) * outChannels;
      for (let col = firstCol; col < endCol; col += 1) {
        if (luma) {
          out[to] = lumaOf(
            pixels[from] as number,
            pixels[from + 1] as number,
            pixels[from + 2] as number,
          );
        } else {
          for (let c = 0; c < channels; c += 1) out[to + c] = pixels[from + c] as number;
        }
        from += channels;
        to += step;
      }
    }
  }
  return out;
}

/** Returns ITU-R 601 luma with the rounding of the Python Imaging Library, which the reference uses. */
const lumaOf = (red: number, green: number, blue: number): number =>
  (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16;
