/** One split of a data set of images of one size. */
export interface ImageSet {
  readonly length: number;
  readonly shape: readonly [rows: number, cols: number, channels: number];
  /** Number of classes; labels are 0 to classes - 1. 0 without labels. */
  readonly classes: number;
  /** Reads bytes [indices, rows, cols, channels], and labels, -1 without one. Throws a `DataError`. */
  read(indices: readonly number[]): Promise<Images>;
}

export interface Images {
  pixels: Uint8Array;
  labels: Int32Array;
}

/** Samples for training, samples with labels, and samples for testing. */
export type Split = 'train' | 'labelled' | 'test';

/** Returns a set of images from their pixels, one image after another. */
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

/** Returns the number of classes: the highest label + 1. */
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

/** One split of a data set of speech. */
export interface SpeechSet {
  readonly length: number;
  /** Number of speakers; speakers are 0 to speakers - 1. */
  readonly speakers: number;
  /** Number of phones; phone labels are 0 to phones - 1. 0 without labels. */
  readonly phones: number;
  /** Reads an utterance. Throws a `DataError`. */
  read(index: number): Promise<Utterance>;
}

export interface Utterance {
  /** Samples of 16 bits at 16 kHz. */
  pcm: Int16Array;
  speaker: number;
  /** One label per 160 samples, possibly fewer than frames; empty without labels. */
  phones: Int32Array;
}
