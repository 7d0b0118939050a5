import type { Augmentation, Data } from '@greedy-infomax/crds';
import { augment, cropCentre } from './augment.ts';
import type { ImageSet, Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { openImages } from './open.ts';
import { datasetIndex } from './order.ts';

export interface Batch {
  /** Images [batchSize, crop, crop, channels], or speech [batchSize, samples, 2]: 16 bits, the lower byte first. */
  bytes: Uint8Array;
  /** Label of each sample; -1 without one. */
  labels: Int32Array;
  /** Ordinals of the samples, counted over all epochs. */
  ids: Float64Array;
}

export interface Batches {
  /** Returns the next batch. Call it again only after the promise resolved. */
  next(): Promise<Batch>;
  /** First ordinal of the next batch; a batch that is read ahead does not count. */
  readonly position: number;
}

interface Source {
  data: Data;
  augmentation: Augmentation;
  split: Split;
  batchSize: number;
}

/** Order of the samples. */
export interface Order {
  seed: number;
  start: number;
  /** Returns the first ordinal of a batch. Default: each batch follows the one before, from `start`. */
  draw?: () => Promise<number>;
}

/**
 * Opens endless batches of augmented images from ordinal `start`, in an order drawn from `seed`. Reads one batch ahead.
 * @throws DataError
 */
export async function openBatches({
  data,
  augmentation,
  split,
  seed,
  batchSize,
  start,
  draw,
}: Source & Order): Promise<Batches> {
  const set = await openImages(data, split);
  checkBatchSize(
    batchSize,
    set.length,
    `${data.path ?? data.format} has ${set.length} images`,
    split,
  );
  const load = async (first: number): Promise<Batch> => {
    const ids = Float64Array.from({ length: batchSize }, (_, i) => first + i);
    const { pixels, labels } = await set.read(
      Array.from(ids, (ordinal) => datasetIndex(ordinal, set.length, seed)),
    );
    const shape = [batchSize, ...set.shape] as const;
    return { bytes: augment(pixels, shape, augmentation, ids, seed), labels, ids };
  };
  return readAhead(load, batchSize, { start, draw });
}

/** Returns batches that `load` reads by their first ordinal; loads the next one while a batch is used. */
export function readAhead(
  load: (first: number) => Promise<Batch>,
  batchSize: number,
  { start, draw }: Pick<Order, 'start' | 'draw'>,
): Batches {
  let position = start;
  /** True if the batch at `position` is drawn; a batch that could not be read is retried. */
  let drawn = draw === undefined;
  let ahead: Promise<Batch> | null = null;
  const prepare = async () => {
    if (!drawn && draw) position = await draw();
    drawn = true;
    return load(position);
  };
  return {
    async next() {
      const loading = ahead ?? prepare();
      ahead = null;
      const batch = await loading;
      position += batchSize;
      drawn = draw === undefined;
      ahead = prepare();
      ahead.catch(() => {}); // the next call of next() throws the error
      return batch;
    },
    get position() {
      return position;
    },
  };
}

/** Checks that an epoch fills a batch. Throws a `DataError`. */
export function checkBatchSize(
  batchSize: number,
  length: number,
  found: string,
  split: Split,
): void {
  if (batchSize <= length) return;
  throw new DataError(
    `batchSize is ${batchSize}, but ${found} for ${split}; make batchSize at most ${length}`,
  );
}

export interface EvaluationImages {
  readonly length: number;
  /** Number of classes; 0 without labels. */
  readonly classes: number;
  /** Yields all images once, in order, cropped at the centre; the last batch may be shorter. */
  batches(): AsyncIterable<{ pixels: Uint8Array; labels: Int32Array }>;
}

/** Opens the images of a split for an evaluation. Throws a `DataError`. */
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
