import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SpeechSet, Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { filesBelow, folderNames, readDataFile } from './files.ts';
import { decodeWav } from './wav-file.ts';

/**
 * Reads a folder of WAV files: `train` and `test` with a folder per speaker, and optionally `unlabeled`, which is then used
 * for training. NAME.phones beside NAME.wav contains the phones: a symbol per 10 ms, separated by spaces or line breaks.
 * Without such files there are no phone labels.
 */

const WAVE_FILE = /\.wav$/i;

interface Entry {
  file: string;
  speaker: number;
}

export async function openWav(folder: string, split: Split): Promise<SpeechSet> {
  const unlabelled = join(folder, 'unlabeled');
  if (split === 'train' && existsSync(unlabelled)) {
    const files = await filesBelow(unlabelled, WAVE_FILE);
    return utterances(
      files.map((file) => ({ file, speaker: -1 })),
      unlabelled,
      0,
      new Map(),
    );
  }
  const training = join(folder, 'train');
  const root = split === 'test' ? join(folder, 'test') : training;
  // Speakers are numbered by the training part, so that one that the test part lacks does not shift the others.
  const speakers = await folderNames(training, 'a folder of WAV files for each speaker');
  const unknown = (await folderNames(root, 'a folder of WAV files for each speaker')).filter(
    (name) => !speakers.includes(name),
  );
  if (unknown.length > 0) {
    throw new DataError(
      `${root} has the speakers ${unknown.join(', ')}, which ${training} lacks; both need the same folders`,
    );
  }
  const entries = await Promise.all(
    speakers.map(async (name, speaker) =>
      (await filesBelow(join(root, name), WAVE_FILE)).map((file) => ({ file, speaker })),
    ),
  );
  return utterances(
    entries.flat(),
    root,
    speakers.length,
    split === 'train' ? new Map() : await phonesIn(training),
  );
}

function utterances(
  entries: readonly Entry[],
  root: string,
  speakers: number,
  phones: ReadonlyMap<string, number>,
): SpeechSet {
  if (entries.length === 0) throw new DataError(`${root} holds no WAV files`);
  return {
    length: entries.length,
    speakers,
    phones: phones.size,
    async read(index) {
      const { file, speaker } = entries[index] as Entry;
      const pcm = decodeWav(await readDataFile(file, 'a WAV file'), file);
      return {
        pcm,
        speaker,
        phones: phones.size > 0 ? await labels(file, phones) : new Int32Array(),
      };
    },
  };
}

const labelFile = (wave: string): string => wave.replace(WAVE_FILE, '.phones');

/** Returns the phones of the training part, numbered in the order of their names. */
async function phonesIn(training: string): Promise<Map<string, number>> {
  const files = await filesBelow(training, /\.phones$/);
  const symbols = new Set<string>();
  for (const file of files) for (const symbol of await symbolsOf(file)) symbols.add(symbol);
  return new Map([...symbols].sort().map((symbol, label) => [symbol, label]));
}

async function labels(wave: string, phones: ReadonlyMap<string, number>): Promise<Int32Array> {
  const file = labelFile(wave);
  const symbols = await symbolsOf(file);
  return Int32Array.from(symbols, (symbol) => {
    const label = phones.get(symbol);
    if (label !== undefined) return label;
    throw new DataError(`${file} has the phone ${symbol}, which no training utterance has`);
  });
}

async function symbolsOf(file: string): Promise<string[]> {
  try {
    return (await readFile(file, 'utf8')).split(/\s+/).filter(Boolean);
  } catch (cause) {
    throw new DataError(
      `cannot read ${file} (${(cause as Error).message}); it should contain a phone per 10 ms, like the other .phones files`,
      { cause },
    );
  }
}
