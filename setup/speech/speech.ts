import { PHONE_FRAME, SAMPLE_RATE } from '../../crds/src/v1alpha1/data.ts';
import { hash32 } from '../../trainer/src/data/order.ts';

/** Sentences, sound and phone labels of the synthetic speech: everything but the synthesiser. */

const WORDS = {
  article: ['the', 'a', 'this', 'every', 'another', 'her', 'his', 'our', 'their', 'my'],
  adjective: [
    ...['quick', 'brown', 'lazy', 'happy', 'old', 'young', 'green', 'heavy', 'quiet', 'golden'],
    ...['strange', 'small', 'yellow', 'noisy', 'bright', 'wooden', 'cheerful', 'foolish', 'deep'],
  ],
  noun: [
    ...[
      'fox',
      'dog',
      'teacher',
      'river',
      'garden',
      'window',
      'child',
      'mountain',
      'engine',
      'boat',
    ],
    ...['judge', 'shepherd', 'village', 'measure', 'bridge', 'song', 'zebra', 'voice', 'kitchen'],
    ...['thing', 'author', 'leather', 'church', 'treasure', 'year', 'house', 'moon', 'cow', 'toy'],
  ],
  verb: [
    ...['watches', 'follows', 'finds', 'carries', 'remembers', 'leaves', 'hears', 'chooses'],
    ...['paints', 'pushes', 'visits', 'joins', 'loves', 'breathes', 'enjoys', 'throws', 'shows'],
  ],
  adverb: ['slowly', 'often', 'badly', 'always', 'usually', 'early', 'together', 'again', 'now'],
  preposition: ['under', 'over', 'near', 'behind', 'with', 'through', 'above', 'without', 'by'],
} as const;

const PATTERN = [
  ...(['article', 'adjective', 'noun', 'verb', 'article', 'noun'] as const),
  ...(['preposition', 'article', 'adjective', 'noun', 'adverb'] as const),
];

/** Returns a deterministic pseudo-random number for each number. */
export const sentence = (number: number): string =>
  `${PATTERN.map((kind, i) => {
    const words = WORDS[kind];
    return words[hash32(number, i) % words.length];
  }).join(' ')}.`;

/** Speeds `pcm` up by `factor`, which raises pitch and formants alike. */
export function resample(pcm: Int16Array, factor: number): Int16Array {
  const length = Math.floor((pcm.length - 1) / factor);
  return Int16Array.from({ length }, (_, i) => {
    const at = i * factor;
    const before = Math.floor(at);
    const left = pcm[before] as number;
    return Math.round(left + (at - before) * ((pcm[before + 1] as number) - left));
  });
}

/** A phone and the second at which it ends. */
export type Timed = readonly [phone: string, end: number];

/** Parses Flite's `pau:0.184 dh:0.236 …`, sped up by `factor`. */
export const scaleTimes = (text: string, factor: number): Timed[] =>
  text
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [phone = '', end] = word.split(':');
      return [phone, Number(end) / factor];
    });

/**
 * Returns the phone in the middle of each complete 10 ms of `samples`; the time after the last
 * phone is a pause.
 */
export function phoneFrames(phones: readonly Timed[], samples: number): string[] {
  let at = 0;
  return Array.from({ length: Math.floor(samples / PHONE_FRAME) }, (_, frame) => {
    const middle = ((frame + 0.5) * PHONE_FRAME) / SAMPLE_RATE;
    while (at < phones.length && (phones[at]?.[1] as number) <= middle) at += 1;
    return phones[at]?.[0] ?? 'pau';
  });
}

/** Encodes a WAV file with 16 bits, one channel, 16,000 samples a second. */
export function encodeWave(pcm: Int16Array): Uint8Array {
  const bytes = Buffer.alloc(44 + 2 * pcm.length);
  bytes.write('RIFF', 0, 'latin1');
  bytes.writeUInt32LE(36 + 2 * pcm.length, 4);
  bytes.write('WAVEfmt ', 8, 'latin1');
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20); // PCM
  bytes.writeUInt16LE(1, 22); // One channel.
  bytes.writeUInt32LE(SAMPLE_RATE, 24);
  bytes.writeUInt32LE(2 * SAMPLE_RATE, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36, 'latin1');
  bytes.writeUInt32LE(2 * pcm.length, 40);
  Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).copy(bytes, 44);
  return bytes;
}
