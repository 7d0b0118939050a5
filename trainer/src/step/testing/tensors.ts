import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import { type StepFunction, size, type WeightValue } from '../function.ts';

/** Helpers of the tests of steps. */

export const OPTIMIZER = {
  type: 'adam',
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
} as const;

/** Returns values without a pattern: sums that cancel would leave rounding errors only. */
export const withoutPattern = (n: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * i + i));

/** Returns |a - b| / |b|. */
export const distance = (a: Float32Array, b: Float32Array): number =>
  Math.hypot(...a.map((x, i) => x - (b[i] as number))) / Math.hypot(...b);

const CHANNELS = 4;

/** Losses on the output of `residual`. */
const LOSSES = {
  squares: (y: Tensor) => tf.mean(tf.square(y)),
  relu: (y: Tensor) => tf.mean(tf.relu(y)),
};

/**
 * Returns a convolution and two pre-activation blocks of two convolutions with a shortcut, as in a ResNet. Their result y
 * is an output and the input of `loss`; `add` adds biases.
 */
export function residual(
  loss: keyof typeof LOSSES,
  add: (y: Tensor, bias: Tensor) => Tensor = tf.add,
) {
  const weights: Record<string, WeightValue> = {};
  for (let i = 0; i < 5; i++) {
    const filter = [3, 3, CHANNELS, CHANNELS];
    weights[`filter${i}`] = { shape: filter, values: withoutPattern(size(filter)) };
    weights[`bias${i}`] = { shape: [CHANNELS], values: withoutPattern(CHANNELS).map((x) => x + i) };
  }
  const shape = [2, 6, 6, CHANNELS];
  const train: StepFunction = {
    inputs: { x: { shape, dtype: 'float32' } },
    build({ x }, w) {
      const convolution = (y: Tensor, i: number) => {
        const filter = w[`filter${i}`] as Tfjs.Tensor4D;
        const made = tf.conv2d(tf.relu(y) as Tfjs.Tensor4D, filter, 1, 'same');
        return add(made, w[`bias${i}`] as Tensor);
      };
      const block = (y: Tensor, i: number) => tf.add(convolution(convolution(y, i), i + 1), y);
      const y = block(block(convolution(x as Tensor, 0), 1), 3);
      return { y, loss: LOSSES[loss](y) };
    },
    minimise: 'loss',
  };
  return { weights, train, x: withoutPattern(size(shape)) };
}
