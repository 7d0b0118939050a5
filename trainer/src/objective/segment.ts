import type { Representation } from '../model/representation.ts';
import { pick } from '../step/ops.ts';
import { type Tensor, type Tfjs, tf } from '../tf.ts';
import type { Draws } from './types.ts';

/** The rows of a representation that are contexts and positives, and the vectors that negatives may come from. */
export interface Segment extends Representation {
  /** Targets of the whole representation: [samples * allRows * cols, target channels]. */
  all: Tensor;
  allRows: number;
  /** First row of the segment: int32 [1], or 0 where the segment is all rows. */
  start: Tensor | 0;
}

/** Stream of `Draws` for the start; the steps of the prediction have streams 1 to 64. */
const START_STREAM = 0;

/** Returns `length` consecutive rows from a random start, the same for all samples; all rows if there are no more. */
export function segmentOf(
  { context, target }: Representation,
  length: number | undefined,
  draws: Draws,
): Segment {
  const [samples, allRows, cols] = target.shape as [number, number, number];
  const all = flat(target);
  if (length === undefined || allRows <= length) return { context, target, all, allRows, start: 0 };
  const start = draws.ints(START_STREAM, [1], allRows - length + 1);
  const firsts = positions(samples, length, cols, (sample, row) => sample * allRows + row);
  const rows = tf.add(firsts, tf.mul(start, tf.scalar(cols, 'int32')));
  const take = (x: Tensor): Tensor =>
    tf.reshape(pick(flat(x), rows), [samples, length, cols, x.shape[3] as number]);
  const taken = take(target);
  return {
    context: context === target ? taken : take(context),
    target: taken,
    all,
    allRows,
    start,
  };
}

/** [samples, rows, cols, channels] -> [samples * rows * cols, channels]. */
export const flat = (x: Tensor): Tfjs.Tensor2D => tf.reshape(x, [-1, x.shape[3] as number]);

/** Indices of positions among all of a batch, int32 [samples * rows * cols]; `rowOf` returns the row's number in the batch. */
export function positions(
  samples: number,
  rows: number,
  cols: number,
  rowOf: (sample: number, row: number) => number,
): Tensor {
  const values = Int32Array.from({ length: samples * rows * cols }, (_, i) => {
    const row = Math.floor(i / cols);
    return rowOf(Math.floor(row / rows), row % rows) * cols + (i % cols);
  });
  return tf.tensor1d(values, 'int32');
}
