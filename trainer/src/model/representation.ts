import type { Tensor } from '../tf.ts';

/** A module's representation as the objective sees it: pooled patches of images, or the steps of a sequence. */
export interface Representation {
  /** Output of all layers: [samples, rows, cols, channels]. */
  context: Tensor;
  /** Prediction target: [samples, rows, cols, target channels]. The same tensor as `context`, except for a module with a gru layer. */
  target: Tensor;
}
