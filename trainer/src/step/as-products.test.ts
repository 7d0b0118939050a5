import { describe, expect, it } from 'vitest';
import { conv2d } from '../model/layers/conv2d.ts';
import { backend, type Tensor, tf } from '../tf.ts';
import { asProducts } from './as-products.ts';
import { type StepFunction, size } from './function.ts';
import { Program } from './program.ts';
import { distance, OPTIMIZER, withoutPattern } from './testing.ts';
import { traceFunction } from './trace.ts';

interface Convolution {
  input: [rows: number, cols: number];
  kernel: [rows: number, cols: number];
  stride: number;
  padding: number;
}

/** A loss that needs the gradients of a kernel and a bias, of five channels from three. */
function lossOf({ input, kernel, stride, padding }: Convolution) {
  const weights = {
    'conv.weight': { shape: [...kernel, 3, 5], values: withoutPattern(size(kernel) * 15) },
    'conv.bias': { shape: [5], values: withoutPattern(5) },
  };
  const shape = [4, ...input, 3];
  const train: StepFunction = {
    inputs: { x: { shape, dtype: 'float32' } },
    build: ({ x }, w) => {
      const y = conv2d(tf.mul(x as Tensor, 2), w, 'conv', stride, padding);
      return { loss: tf.mean(tf.square(tf.sub(y, 1))) };
    },
    minimise: 'loss',
  };
  return { weights, train, shape };
}

/** The gradients of a step, by weight. */
function gradients(convolution: Convolution, precision: 'float32' | 'bfloat16') {
  const { weights, train, shape } = lossOf(convolution);
  const program = Program.compile({
    weights,
    optimizer: OPTIMIZER,
    functions: { train },
    precision,
  });
  program.run('train', { x: withoutPattern(size(shape)) });
  const moments = program.read();
  program.dispose();
  return Object.fromEntries(
    Object.keys(weights).map((name) => [name, moments[`adam.m.${name}`]?.values as Float32Array]),
  );
}

const operations = (convolution: Convolution, precision: 'float32' | 'bfloat16') => {
  const { weights, train } = lossOf(convolution);
  return asProducts(traceFunction(train, weights).recording, precision).ops.map(({ op }) => op);
};

const BECOME_PRODUCTS: Record<string, Convolution> = {
  'one place': { input: [8, 8], kernel: [1, 1], stride: 1, padding: 0 },
  'one place, with a stride': { input: [8, 8], kernel: [1, 1], stride: 2, padding: 0 },
  'a stride and zeros around': { input: [8, 8], kernel: [3, 3], stride: 2, padding: 1 },
  'positions that no output sees': { input: [9, 12], kernel: [2, 3], stride: 4, padding: 0 },
  'few outputs, with zeros around': { input: [4, 4], kernel: [3, 3], stride: 1, padding: 1 },
  'few outputs of a kernel that is not square': {
    input: [1, 11],
    kernel: [1, 5],
    stride: 1,
    padding: 0,
  },
};

const gpu = backend.binding.isUsingGpuDevice();

describe.skipIf(gpu)('in bfloat16, the gradient of a kernel', () => {
  for (const [name, convolution] of Object.entries(BECOME_PRODUCTS)) {
    it(`is made of products for ${name}, and what float32 says, to about two digits`, () => {
      expect(operations(convolution, 'bfloat16')).not.toContain('Conv2DBackpropFilter');
      const [half, full] = [gradients(convolution, 'bfloat16'), gradients(convolution, 'float32')];
      for (const [weight, gradient] of Object.entries(full)) {
        expect(distance(half[weight] as Float32Array, gradient), weight).toBeLessThan(0.02);
      }
    });
  }

  it('is left to TensorFlow for many outputs without a stride', () => {
    const many: Convolution = { input: [8, 8], kernel: [3, 3], stride: 1, padding: 1 };
    expect(operations(many, 'bfloat16')).toContain('Conv2DBackpropFilter');
  });
});

describe.skipIf(gpu)('in float32', () => {
  const convolution: Convolution = { input: [8, 8], kernel: [3, 3], stride: 2, padding: 1 };

  it('leaves the gradient of a kernel to TensorFlow', () => {
    expect(operations(convolution, 'float32')).toContain('Conv2DBackpropFilter');
  });

  it('makes the gradient of a bias a product, with the values that the sum has', () => {
    expect(operations(convolution, 'float32')).not.toContain('Sum');
    const { weights, train, shape } = lossOf(convolution);
    const expected = tf.tidy(() => {
      const [w, bias] = Object.values(weights).map(({ shape, values: v }) => tf.tensor(v, shape));
      const x = tf.tensor(withoutPattern(size(shape)), shape);
      const loss = (b: Tensor) =>
        train.build({ x }, { 'conv.weight': w as Tensor, 'conv.bias': b }).loss as Tensor;
      return tf
        .grad(loss)(bias as Tensor)
        .dataSync() as Float32Array;
    });
    // The first moment after one step is a tenth of the gradient.
    const bias = gradients(convolution, 'float32')['conv.bias']?.map((m) => 10 * m);
    expect(distance(bias as Float32Array, expected)).toBeLessThan(1e-5);
  });
});
