import type { Augmentation, Data } from '@greedy-infomax/crds';
import { augment, cropCentre } from './augment.ts';
import type { ImageSet, Split } from './dataset.ts';
import { DataError } from './errors.ts';
import { openImages } from './open.ts';
import { datasetIndex } from './order.ts';

export interface Batch {
  /** Images [batchSize, crop, crop, channels], or speech [batchSize, samples, 2]: 16 bits, the lower byte first. */
  bytes: Uint8Array;
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

/** What decides which samples come, and in which order. */
export interface Order {
  seed: number;
  start: number;
  /** Resolves with the ordinal that a batch begins with. Default: each where the one before ends, from `start` on. */
  draw?: () => Promise<number>;
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

/** Batches that `load` makes from their first ordinal on; the next is loaded while one is used. */
export function readAhead(
  load: (first: number) => Promise<Batch>,
  batchSize: number,
  { start, draw }: Pick<Order, 'start' | 'draw'>,
): Batches {
  let position = start;
  /** Whether the batch at `position` is ours; one that could not be read is tried again. */
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
      ahead.catch(() => {}); // whoever asks for that batch gets the error
      return batch;
    },
    get position() {
      return position;
    },
  };
}

/** An epoch must fill a batch. Throws a `DataError`. */
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
  /** 0: no labels. */
  readonly classes: number;
  /** All images once, in order, cropped at the centre; the last batch may be shorter. */
  batches(): AsyncIterable<{ pixels: Uint8Array; labels: Int32Array }>;
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
