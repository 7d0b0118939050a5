import type { Augmentation, Data } from '@greedy-infomax/crds';
import { augment, cropCentre } from './augment.ts';
import { DataError } from './errors.ts';
import type { ImageSet, Split } from './image-set.ts';
import { openImages } from './open.ts';
import { datasetIndex } from './order.ts';

export interface Batch {
  /** Bytes [batchSize, crop, crop, channels]. */
  pixels: Uint8Array;
  /** -1 where there are none. */
  labels: Int32Array;
  /** Ordinals of the samples: their number over all epochs. */
  ids: Float64Array;
}

export interface Batches {
  /** The next batch; call it again only when it is there. */
  next(): Promise<Batch>;
  /** The ordinal that the next batch begins with; one that is only read ahead does not count. */
  readonly position: number;
}

interface Source {
  data: Data;
  augmentation: Augmentation;
  split: Split;
  batchSize: number;
}

/**
 * Endless batches of augmented images from ordinal `start` on, in an order drawn from `seed`. Reads one
 * batch ahead. Throws a `DataError`.
 */
export async function openBatches({
  data,
  augmentation,
  split,
  seed,
  batchSize,
  start,
}: Source & { seed: number; start: number }): Promise<Batches> {
  const set = await openImages(data, split);
  if (batchSize > set.length) {
    throw new DataError(
      `batchSize is ${batchSize}, but ${data.path ?? data.format} has ${set.length} images for ${split}; make batchSize at most ${set.length}`,
    );
  }
  const load = async (first: number): Promise<Batch> => {
    const ids = Float64Array.from({ length: batchSize }, (_, i) => first + i);
    const { pixels, labels } = await set.read(
      Array.from(ids, (ordinal) => datasetIndex(ordinal, set.length, seed)),
    );
    const shape = [batchSize, ...set.shape] as const;
    return { pixels: augment(pixels, shape, augmentation, ids, seed), labels, ids };
  };
  let position = start;
  let ahead: Promise<Batch> | null = null;
  return {
    async next() {
      const loading = ahead ?? load(position);
      ahead = null;
      const batch = await loading;
      position += batchSize;
      ahead = load(position);
      ahead.catch(() => {}); // whoever asks for that batch gets the error
      return batch;
    },
    get position() {
      return position;
    },
  };
}

export interface EvaluationImages {
  readonly length: number;
  /** 0: no labels. */
  readonly classes: number;
  /** All images once, in order, cropped at the centre; the last batch may be shorter. */
  batches(): AsyncIterable<Pick<Batch, 'pixels' | 'labels'>>;
}

/** The images of a split as an evaluation wants them. Throws a `DataError`. */
export async function openEvaluationImages({
  data,
  augmentation,
  split,
  batchSize,
}: Source): Promise<EvaluationImages> {
  const set = await openImages(data, split);
  return {
    length: set.length,
    classes: set.classes,
    batches: () => inOrder(set, augmentation, batchSize),
  };
}

async function* inOrder(set: ImageSet, augmentation: Augmentation, batchSize: number) {
  for (let start = 0; start < set.length; start += batchSize) {
    const count = Math.min(batchSize, set.length - start);
    const { pixels, labels } = await set.read(Array.from({ length: count }, (_, i) => start + i));
    yield { pixels: cropCentre(pixels, [count, ...set.shape], augmentation), labels };
  }
}
