import { conv2d } from '../model/layers/conv2d.ts';
import { convParameters, type Parameter } from '../model/layers/parameters.ts';
import type { Weights } from '../step/function.ts';
import { type Tensor, tf } from '../tf.ts';

/**
 * Context network of CPC on images: a gated PixelCNN (van den Oord et al. 2016, section 2) over the grid of patches.
 * The context of Greedy InfoMax is one patch. Here it is the output of four layers that see all rows up to the
 * patch's own, with its left and right neighbours, because the targets lie in later rows.
 *
 * Two stacks of maps go through the layers: v sees the rows above and the own row, h the own row only, and each layer
 * adds v to h:
 *
 *     a  = rows(v)                         2x3 convolution: the row above and the own row
 *     v' = gate(a + residual(v))           the first layer has no residuals; the last v' is unused
 *     h' = out(gate(row(h) + across(a)))  + h
 *     gate([p, q]) = tanh(p) * sigmoid(q)
 */

const LAYERS = 4;
const PREFIX = 'objective.context';
/** Reports whether the layer's v has a residual: in all layers but the first and the last. */
const hasResidual = (layer: number): boolean => layer > 0 && layer < LAYERS - 1;

export function pixelCNNParameters(channels: number): Parameter[] {
  const wide = 2 * channels;
  const layers = Array.from({ length: LAYERS }, (_, i) => {
    const at = `${PREFIX}.${i}`;
    return [
      // The reference draws a 3x3 filter and blanks its last row: the same values, of a 2x3 filter.
      ...convParameters(`${at}.rows`, [2, 3], channels, wide).map((parameter) => ({
        ...parameter,
        fanIn: 9 * channels,
      })),
      ...convParameters(`${at}.across`, 1, wide, wide),
      ...convParameters(`${at}.row`, [1, 3], channels, wide),
      ...convParameters(`${at}.out`, 1, channels, channels),
      ...(hasResidual(i) ? convParameters(`${at}.residual`, 1, channels, wide) : []),
    ];
  });
  return [...layers.flat(), ...convParameters(`${PREFIX}.out`, 1, channels, channels)];
}

/** x [samples, rows, cols, channels] -> context of the same shape; row r of it depends on rows 0 .. r alone. */
export function pixelCNN(weights: Weights, x: Tensor): Tensor {
  let [v, h] = [x, x];
  for (let i = 0; i < LAYERS; i += 1) {
    const at = `${PREFIX}.${i}`;
    const seen = rowsDown(v, weights, `${at}.rows`); // [samples, rows, cols, 2 channels]
    const across = conv2d(seen, weights, `${at}.across`, 1, 0);
    const gated = gate(tf.add(conv2d(h, weights, `${at}.row`, 1, [0, 1]), across));
    const out = conv2d(gated, weights, `${at}.out`, 1, 0);
    v = gate(hasResidual(i) ? tf.add(seen, conv2d(v, weights, `${at}.residual`, 1, 0)) : seen);
    h = i === 0 ? out : tf.add(h, out);
  }
  return conv2d(h, weights, `${PREFIX}.out`, 1, 0);
}

/** Convolves each row with the row above it: one row of zeros at the top, none at the bottom. */
function rowsDown(x: Tensor, weights: Weights, prefix: string): Tensor {
  const [, rows] = x.shape as [number, number, number, number];
  const y = conv2d(x, weights, prefix, 1, 1); // the last row reads the zeros at the bottom
  return tf.slice(y, [0, 0, 0, 0], [-1, rows, -1, -1]);
}

function gate(x: Tensor): Tensor {
  const [p, q] = tf.split(x, 2, 3) as [Tensor, Tensor];
  return tf.mul(tf.tanh(p), tf.sigmoid(q));
}
