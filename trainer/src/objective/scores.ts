import { evenParts } from '../step/function.ts';
import { pick } from '../step/ops.ts';
import { sparseProducts } from '../step/sparse.ts';
import { backend, type Tensor, type Tfjs, tf } from '../tf.ts';

/**
 * predicted [anchors, channels], vectors [n, channels] and for each anchor some of their rows, int32 [anchors, negatives] ->
 * how well it predicts them, [anchors, negatives].
 *
 * Gradients are products of a matrix [anchors, n] that is zero but for the rows drawn. Processors take these as sparse, in a
 * tenth of the time. A GPU multiplies the zeros.
 */
export function scoresOf(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  if (backend.binding.isUsingGpuDevice()) return score(predicted, vectors, rows);
  return tf.customGrad((p, v, save) => {
    (save as (tensors: Tensor[]) => void)([p as Tensor, v as Tensor, rows]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [left, right, at] = saved as [Tensor, Tensor, Tensor];
      const pairs = { values: dy, at, columns: right.shape[0] as number };
      const gradients = sparseProducts(pairs, right, left);
      return [gradients.right, gradients.left];
    };
    return { value: score(p as Tensor, v as Tensor, rows), gradFunc };
  })(predicted, vectors);
}

/** Vectors for each negative from which on a processor copies the drawn ones faster than it scores all pairs. */
const MANY_VECTORS = 32;

function score(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  const negatives = rows.shape[1] as number;
  const [n, channels] = vectors.shape as [number, number];
  const copies = backend.binding.isUsingGpuDevice()
    ? n > negatives * channels // they take less memory then
    : n > negatives * MANY_VECTORS;
  return copies ? ofCopies(predicted, vectors, rows) : ofAllPairs(predicted, vectors, rows);
}

/** Bytes of copies that are made at a time: a processor's cache holds them until they are multiplied. */
const CACHED = 1 << 20;

function ofCopies(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  const [anchors, negatives] = rows.shape as [number, number];
  const bytes = 4 * anchors * negatives * (vectors.shape[1] as number);
  const parts = backend.binding.isUsingGpuDevice() ? 1 : Math.ceil(bytes / CACHED);
  if (parts === 1) return products(predicted, pick(vectors, rows));
  const sizes = evenParts(anchors, parts);
  const chosen = tf.split(rows, sizes, 0);
  const scores = tf
    .split(predicted, sizes, 0)
    .map((part, i) => products(part, pick(vectors, chosen[i] as Tensor)));
  return tf.concat(scores, 0);
}

/** [n, channels] and [n, negatives, channels] -> [n, negatives]. */
const products = (predicted: Tensor, copies: Tensor): Tensor =>
  tf.squeeze(
    tf.matMul(tf.expandDims(predicted, 1) as Tfjs.Tensor3D, copies as Tfjs.Tensor3D, false, true),
    [1],
  );

function ofAllPairs(predicted: Tensor, vectors: Tensor, rows: Tensor): Tensor {
  const scores = tf.matMul(predicted as Tfjs.Tensor2D, vectors as Tfjs.Tensor2D, false, true); // [anchors, n]
  const [anchors, n] = scores.shape as [number, number];
  const firsts = tf.expandDims(tf.range(0, anchors, 1, 'int32'), 1); // [anchors, 1]
  const begins = tf.mul(firsts, tf.scalar(n, 'int32')); // where an anchor's scores begin
  return pick(tf.reshape(scores, [anchors * n]), tf.add(begins, rows));
}
