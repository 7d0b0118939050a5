import { SAMPLE_RATE } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { DataError } from './errors.ts';
import { openLibriSpeech } from './librispeech.ts';
import { flac, put, testFolder, wave } from './testing/files.ts';
import { openWav } from './wav-folder.ts';

/** Returns a tenth of a second of noise that depends on `seed`. */
const noise = (seed: number): Int16Array =>
  Int16Array.from(
    { length: SAMPLE_RATE / 10 },
    (_, i) => ((i * 7919 + seed * 104_729) % 65_536) - 32_768,
  );

const text = (string: string): Uint8Array => new TextEncoder().encode(string);

describe('a folder of WAV files', () => {
  it('has a speaker per folder, and phones numbered by the training part', async () => {
    const folder = testFolder();
    for (const [i, name] of ['train/ann/1', 'train/bob/1', 'test/ann/2', 'test/bob/2'].entries()) {
      put(folder, `${name}.wav`, wave(noise(i)));
      put(folder, `${name}.phones`, text(name.startsWith('train') ? 'ee ah sil' : 'sil\nee\nee\n'));
    }
    const test = await openWav(folder, 'test');
    expect(test).toMatchObject({ length: 2, speakers: 2, phones: 3 });
    const bob = await test.read(1);
    expect(bob.speaker).toBe(1);
    expect([...bob.phones]).toEqual([2, 1, 1]);
    expect(bob.pcm).toEqual(noise(3));
  });

  it('is refused if the test part has a speaker that the training part lacks', async () => {
    const folder = testFolder();
    put(folder, 'train/ann/1.wav', wave(noise(0)));
    put(folder, 'test/eve/1.wav', wave(noise(1)));
    await expect(openWav(folder, 'test')).rejects.toThrow(/speakers eve, which/);
  });

  it('names a file of another rate and what would be right', async () => {
    const folder = testFolder();
    put(folder, 'train/ann/1.wav', wave(noise(0), 44_100));
    const read = (await openWav(folder, 'train')).read(0);
    await expect(read).rejects.toThrow(DataError);
    await expect(read).rejects.toThrow(/1\.wav has 44100 samples a second.*16000/);
  });
});

describe('LibriSpeech', () => {
  function librispeech(): string {
    const folder = testFolder();
    for (const [chapter, speaker] of [
      [1240, 103],
      [5, 27],
    ]) {
      for (let i = 0; i < 5; i += 1) {
        const name = `LibriSpeech/train-clean-100/${speaker}/${chapter}/${speaker}-${chapter}-000${i}.flac`;
        put(folder, name, flac(noise(i)));
      }
    }
    return folder;
  }

  it('returns the exact samples of a FLAC file, with speakers in numeric order', async () => {
    const train = await openLibriSpeech(librispeech(), 'train');
    expect(train).toMatchObject({ length: 8, speakers: 2 });
    const utterances = await Promise.all(Array.from({ length: 8 }, (_, i) => train.read(i)));
    expect(utterances.map(({ speaker }) => speaker).toSorted()).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(utterances[2]?.pcm).toEqual(noise(2));
  });

  it('uses every fifth utterance of a speaker for testing if there are no lists', async () => {
    const folder = librispeech();
    expect(await openLibriSpeech(folder, 'test')).toMatchObject({ length: 2, phones: 0 });
    const labels = 'LibriSpeech100_labels_split';
    put(folder, `${labels}/test_split.txt`, text('103-1240-0003\n'));
    put(folder, `${labels}/converted_aligned_phones.txt`, text('103-1240-0003 0 0 40\n'));
    const test = await openLibriSpeech(folder, 'test');
    expect(test).toMatchObject({ length: 1, phones: 41 });
    const { speaker, phones, pcm } = await test.read(0);
    expect({ speaker, phones: [...phones] }).toEqual({ speaker: 1, phones: [0, 0, 40] });
    expect(pcm).toEqual(noise(3));
  });

  it('refuses a file that is cut short', async () => {
    const folder = librispeech();
    const name = 'LibriSpeech/train-clean-100/27/5/27-5-0000.flac';
    const file = put(folder, name, flac(noise(0)).subarray(0, 900));
    const train = await openLibriSpeech(folder, 'train');
    const results = await Promise.allSettled(
      Array.from({ length: train.length }, (_, i) => train.read(i)),
    );
    const reasons = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    );
    expect(reasons).toEqual([expect.any(DataError)]);
    expect(reasons[0].message).toContain(`${file} says that it has 1600 samples`);
  });
});
