import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SpeechSet, Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { filesBelow, folderNames, readDataFile } from './files.ts';
import { decodeFlac } from './flac.ts';

/**
 * Reads LibriSpeech train-clean-100 as released, LibriSpeech/train-clean-100/SPEAKER/CHAPTER/*.flac, with the split and
 * the phone labels of Contrastive Predictive Coding in LibriSpeech100_labels_split:
 * - train_split.txt and test_split.txt: one utterance per line; without them every fifth utterance of a speaker is for
 *   testing;
 * - converted_aligned_phones.txt: one utterance per line with a phone per 10 ms; without it there are no phone labels.
 */

const AUDIO = join('LibriSpeech', 'train-clean-100');
const LABELS = 'LibriSpeech100_labels_split';
/** Interval of the utterances that are for testing if there are no lists. */
const TEST_EVERY = 5;

/** Name of an utterance: SPEAKER-CHAPTER-NUMBER. */
const UTTERANCE = /^(\d+)-(\d+)-\d+$/;

export async function openLibriSpeech(folder: string, split: Split): Promise<SpeechSet> {
  const audio = join(folder, AUDIO);
  const speakers = (await folderNames(audio, 'a folder for each speaker of LibriSpeech')).sort(
    (a, b) => Number(a) - Number(b),
  );
  const wanted = split === 'test' ? 'test' : 'train';
  const list = join(folder, LABELS, `${wanted}_split.txt`);
  const names = existsSync(list) ? await listed(list) : await ownSplit(audio, wanted);
  const phones =
    split === 'train'
      ? null
      : await readPhones(join(folder, LABELS, 'converted_aligned_phones.txt'));
  return {
    length: names.length,
    speakers: speakers.length,
    phones: phones?.classes ?? 0,
    async read(index) {
      const name = names[index] as string;
      const [, speaker = '', chapter = ''] = UTTERANCE.exec(name) ?? [];
      const file = join(audio, speaker, chapter, `${name}.flac`);
      const pcm = await decodeFlac(await readDataFile(file, 'an utterance of LibriSpeech'), file);
      return {
        pcm,
        speaker: speakers.indexOf(speaker),
        phones: phones?.of(name) ?? new Int32Array(),
      };
    },
  };
}

async function listed(file: string): Promise<string[]> {
  const names = (await readText(file)).split(/\s+/).filter(Boolean);
  const wrong = names.find((name) => !UTTERANCE.test(name));
  if (wrong !== undefined || names.length === 0) {
    throw new DataError(
      `${file} has ${wrong === undefined ? 'no utterance' : `the line ${wrong}`}; a name such as 103-1240-0000 a line would be right`,
    );
  }
  return names;
}

async function ownSplit(audio: string, wanted: 'train' | 'test'): Promise<string[]> {
  const files = await filesBelow(audio, /\.flac$/);
  if (files.length === 0) throw new DataError(`${audio} holds no FLAC files`);
  const bySpeaker = Map.groupBy(
    files.map((file) => file.replace(/^.*[\\/]|\.flac$/g, '')),
    (name) => UTTERANCE.exec(name)?.[1],
  );
  return [...bySpeaker.values()].flatMap((names) =>
    names.filter((_, i) => (i % TEST_EVERY === TEST_EVERY - 1) === (wanted === 'test')),
  );
}

/** Reads the labels of all utterances; null without the file. */
async function readPhones(file: string) {
  if (!existsSync(file)) return null;
  // Up to 36 million labels of at most two bytes: lines are kept as text until their utterance is read.
  const lines = new Map<string, string>();
  let classes = 0;
  for (const line of (await readText(file)).split('\n')) {
    const end = line.indexOf(' ');
    if (end < 0) continue;
    lines.set(line.slice(0, end), line.slice(end + 1));
    for (const label of line.slice(end + 1).split(' '))
      classes = Math.max(classes, Number(label) + 1);
  }
  if (!Number.isInteger(classes) || classes === 0) {
    throw new DataError(`${file} holds no phones; a line would be: 103-1240-0000 0 0 17 17 …`);
  }
  return {
    classes,
    of: (name: string) =>
      Int32Array.from((lines.get(name) ?? '').split(' ').filter(Boolean), Number),
  };
}

const readText = async (file: string): Promise<string> =>
  new TextDecoder().decode(await readDataFile(file, 'a file of the labels of CPC'));
