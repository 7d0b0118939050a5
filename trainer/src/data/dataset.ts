/** One split of a data set: images of one size, read by their place in it. */
export interface ImageSet {
  readonly length: number;
  readonly shape: readonly [rows: number, cols: number, channels: number];
  /** Labels are 0 to classes - 1; 0 classes: there are no labels. */
  readonly classes: number;
  /** Bytes [indices, rows, cols, channels], and labels, -1 where there are none. Throws a `DataError`. */
  read(indices: readonly number[]): Promise<Images>;
}

export interface Images {
  pixels: Uint8Array;
  labels: Int32Array;
}

/** What to train on, the images with labels, and those kept apart for testing. */
export type Split = 'train' | 'labelled' | 'test';

/** Images that lie in memory one after another. */
export function imagesInMemory(
  pixels: Uint8Array,
  labels: ArrayLike<number> | null,
  shape: ImageSet['shape'],
): ImageSet {
  const size = imageBytes(shape);
  return {
    length: pixels.length / size,
    shape,
    classes: classesOf(labels),
    async read(indices) {
      const batch = new Uint8Array(indices.length * size);
      for (const [i, index] of indices.entries()) {
        batch.set(pixels.subarray(index * size, (index + 1) * size), i * size);
      }
      return { pixels: batch, labels: pickLabels(labels, indices) };
    },
  };
}

export const imageBytes = ([rows, cols, channels]: ImageSet['shape']): number =>
  rows * cols * channels;

/** Classes are counted by the highest label. */
export function classesOf(labels: ArrayLike<number> | null): number {
  let classes = 0;
  for (let i = 0; i < (labels?.length ?? 0); i += 1) {
    classes = Math.max(classes, (labels?.[i] as number) + 1);
  }
  return classes;
}

export const pickLabels = (
  labels: ArrayLike<number> | null,
  indices: readonly number[],
): Int32Array => Int32Array.from(indices, (index) => labels?.[index] ?? -1);

/** One split of a data set of speech: utterances, read by their place in it. */
export interface SpeechSet {
  readonly length: number;
  /** Speakers are 0 to speakers - 1. */
  readonly speakers: number;
  /** Phone labels are 0 to phones - 1; 0: there are none. */
  readonly phones: number;
  /** Throws a `DataError`. */
  read(index: number): Promise<Utterance>;
}

export interface Utterance {
  /** 16 bits, 16,000 a second. */
  pcm: Int16Array;
  speaker: number;
  /** One label for each 160 samples, as far as they go; empty where there are none. */
  phones: Int32Array;
}
