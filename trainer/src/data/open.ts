import { type Data, isSpeech, type SpeechFormat } from '@greedy-infomax/crds';
import { openCifar10 } from './cifar10.ts';
import type { ImageSet, SpeechSet, Split } from './dataset.ts';
import { openDigits } from './digits.ts';
import { DataError } from './errors.ts';
import { openFolder } from './folder.ts';
import { openIdx } from './idx.ts';
import { openLibriSpeech } from './librispeech.ts';
import { openStl10 } from './stl10.ts';
import { openWav } from './wav-folder.ts';

type Open = (folder: string, split: Split) => Promise<ImageSet>;
type OpenSpeech = (folder: string, split: Split) => Promise<SpeechSet>;

/** Readers of image formats. A new format adds one line here and one file. */
const FORMATS: Record<Exclude<Data['format'], SpeechFormat>, Open> = {
  digits: (_, split) => openDigits(split),
  idx: openIdx,
  stl10: openStl10,
  cifar10: openCifar10,
  images: openFolder,
};

const SPEECH_FORMATS: Record<SpeechFormat, OpenSpeech> = {
  librispeech: openLibriSpeech,
  wav: openWav,
};

/** Returns the number of samples for training: images, or utterances. Throws a `DataError`. */
export const trainingSamples = async (data: Data, split: 'train' | 'labelled'): Promise<number> =>
  (await (isSpeech(data.format) ? openSpeech(data, split) : openImages(data, split))).length;

/** Opens one split of a data set of speech; only `labelled` and `test` have phone labels. Throws a `DataError`. */
export function openSpeech({ format, path }: Data, split: Split): Promise<SpeechSet> {
  if (!isSpeech(format) || path === undefined) {
    throw new DataError(
      `data of the format ${format}${path ? '' : ', without a path,'} is not speech`,
    );
  }
  return SPEECH_FORMATS[format](path, split);
}

/**
 * Opens one split of a data set of images; `train` is the unlabelled images if the format has any. Throws a `DataError`
 * that names the file, what was found, and what would be right.
 */
export async function openImages({ format, path }: Data, split: Split): Promise<ImageSet> {
  if (format !== 'digits' && path === undefined) {
    throw new DataError(
      `data of the format ${format} has no path; give the folder of the data set`,
    );
  }
  if (isSpeech(format)) throw new DataError(`data of the format ${format} has no images`);
  const set = await FORMATS[format](path ?? '', split);
  if (set.length === 0) {
    throw new DataError(`${path ?? format}: no image for ${split}; at least one is needed`);
  }
  return set;
}
