import type { Data } from '@greedy-infomax/crds';
import { openCifar10 } from './cifar10.ts';
import { openDigits } from './digits.ts';
import { DataError } from './errors.ts';
import { openFolder } from './folder.ts';
import { openIdx } from './idx.ts';
import type { ImageSet, Split } from './image-set.ts';
import { openStl10 } from './stl10.ts';

type Open = (folder: string, split: Split) => Promise<ImageSet>;

/** A format is one row here and one file beside. */
const FORMATS: Record<Data['format'], Open> = {
  digits: (_, split) => openDigits(split),
  idx: openIdx,
  stl10: openStl10,
  cifar10: openCifar10,
  images: openFolder,
};

/**
 * Opens one split of a data set; `train` is the images without labels where the format has such. Throws a
 * `DataError` that names the file, what was found, and what would be right.
 */
export async function openImages({ format, path }: Data, split: Split): Promise<ImageSet> {
  if (format !== 'digits' && path === undefined) {
    throw new DataError(
      `data of the format ${format} has no path; give the folder of the data set`,
    );
  }
  const set = await FORMATS[format](path ?? '', split);
  if (set.length === 0) {
    throw new DataError(`${path ?? format}: no image for ${split}; at least one is needed`);
  }
  return set;
}
