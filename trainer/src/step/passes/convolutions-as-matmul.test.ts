import { describe, expect, it } from 'vitest';
import { conv2d } from '../../model/layers/conv2d.ts';
import { backend, type Tensor, tf } from '../../tf.ts';
import { type StepFunction, size } from '../function.ts';
import { Program } from '../program.ts';
import type { Recording } from '../recorder.ts';
import { distance, OPTIMIZER, withoutPattern } from '../testing/tensors.ts';
import { traceFunction } from '../trace.ts';
import { asMatmuls } from './convolutions-as-matmul.ts';

interface Convolution {
  input: [rows: number, cols: number];
  kernel: [rows: number, cols: number];
  stride: number;
  padding: number;
}

/** A loss that needs the gradients of a kernel, a bias and the input of a convolution, to five channels from three. */
function lossOf({ input, kernel, stride, padding }: Convolution) {
  const shape = [4, ...input, 3];
  const weights = {
    'conv.weight': { shape: [...kernel, 3, 5], values: withoutPattern(size(kernel) * 15) },
    'conv.bias': { shape: [5], values: withoutPattern(5) },
    scale: { shape: shape.slice(1), values: withoutPattern(size(shape.slice(1))) },
  };
  const train: StepFunction = {
    inputs: { x: { shape, dtype: 'float32' } },
    build: ({ x }, w) => {
      const y = conv2d(tf.mul(x as Tensor, w.scale as Tensor), w, 'conv', stride, padding);
      return { y, loss: tf.mean(tf.square(tf.sub(y, 1))) };
    },
    minimise: 'loss',
  };
  return { weights, train, x: withoutPattern(size(shape)), shape };
}

interface Made {
  y: Float32Array;
  gradients: Record<string, Float32Array>;
}

/** Returns the results of a compiled step. */
function compiled(convolution: Convolution, precision: 'float32' | 'bfloat16'): Made {
  const { weights, train, x } = lossOf(convolution);
  const functions = { train };
  const program = Program.compile({ weights, optimizer: OPTIMIZER, functions, precision });
  const { y } = program.run('train', { x });
  const moments = program.read();
  program.dispose();
  // The first moment after one step is a tenth of the gradient.
  const gradient = (name: string) => moments[`adam.m.${name}`]?.values.map((m) => 10 * m);
  return {
    y: y as Float32Array,
    gradients: Object.fromEntries(
      Object.keys(weights).map((name) => [name, gradient(name) as Float32Array]),
    ),
  };
}

/** Returns the results of TensorFlow's own ops, run one by one. */
function eager(convolution: Convolution): Made {
  const { weights, train, x, shape } = lossOf(convolution);
  return tf.tidy(() => {
    const names = Object.keys(weights);
    const made = (values: Tensor[]) =>
      train.build(
        { x: tf.tensor(x, shape) },
        Object.fromEntries(names.map((name, i) => [name, values[i] as Tensor])),
      );
    const values = Object.values(weights).map((weight) => tf.tensor(weight.values, weight.shape));
    const gradients = tf.grads((...given: Tensor[]) => made(given).loss as Tensor)(values);
    const read = (tensor?: Tensor) => tensor?.dataSync() as Float32Array;
    return {
      y: read(made(values).y),
      gradients: Object.fromEntries(names.map((name, i) => [name, read(gradients[i])])),
    };
  });
}

/** Returns the distance of each result of a step from that of the other. */
const distances = (made: Made, expected: Made) =>
  Object.entries({ y: expected.y, ...expected.gradients }).map(
    ([name, values]) =>
      [name, distance({ y: made.y, ...made.gradients }[name] as Float32Array, values)] as const,
  );

/** Returns the ops that TensorFlow keeps. */
const left = (convolution: Convolution, precision: 'float32' | 'bfloat16') => {
  const { weights, train } = lossOf(convolution);
  const { recording, surroundings } = traceFunction(train, weights);
  const ops = asMatmuls(recording, surroundings, precision).ops.map(({ op }) => op);
  return ['Conv2D', 'Conv2DBackpropFilter'].filter((op) => ops.includes(op));
};

const BOTH = ['Conv2D', 'Conv2DBackpropFilter'];
const FORWARD = ['Conv2D'];

/** Ops that TensorFlow keeps, by precision. */
const CASES: Record<string, { of: Convolution; float32: string[]; bfloat16: string[] }> = {
  'one place': {
    of: { input: [8, 8], kernel: [1, 1], stride: 1, padding: 0 },
    float32: BOTH,
    bfloat16: FORWARD,
  },
  'one place with a stride': {
    of: { input: [8, 8], kernel: [1, 1], stride: 2, padding: 0 },
    float32: [],
    bfloat16: [],
  },
  'one place with a stride that does not cover the last position': {
    of: { input: [9, 7], kernel: [1, 1], stride: 2, padding: 0 },
    float32: [],
    bfloat16: [],
  },
  'four outputs that all see all, and zeros around': {
    of: { input: [2, 2], kernel: [3, 3], stride: 1, padding: 1 },
    float32: [],
    bfloat16: [],
  },
  'four outputs with a stride': {
    of: { input: [4, 4], kernel: [3, 3], stride: 2, padding: 1 },
    float32: [],
    bfloat16: [],
  },
  'sixteen outputs with a stride': {
    of: { input: [8, 8], kernel: [3, 3], stride: 2, padding: 1 },
    float32: [],
    bfloat16: [],
  },
  'an odd number of positions with a stride': {
    of: { input: [7, 5], kernel: [3, 3], stride: 2, padding: 1 },
    float32: [],
    bfloat16: [],
  },
  'positions that no output sees': {
    of: { input: [9, 12], kernel: [2, 3], stride: 4, padding: 0 },
    float32: [],
    bfloat16: [],
  },
  'outputs that see nothing but zeros': {
    of: { input: [2, 2], kernel: [1, 3], stride: 3, padding: 2 },
    float32: BOTH,
    bfloat16: BOTH,
  },
  'sixteen outputs': {
    of: { input: [4, 4], kernel: [3, 3], stride: 1, padding: 1 },
    float32: BOTH,
    bfloat16: FORWARD,
  },
  'a kernel that is not square': {
    of: { input: [1, 11], kernel: [1, 5], stride: 1, padding: 0 },
    float32: BOTH,
    bfloat16: FORWARD,
  },
  'many outputs with a stride': {
    of: { input: [16, 16], kernel: [3, 3], stride: 2, padding: 1 },
    float32: BOTH,
    bfloat16: FORWARD,
  },
  'many outputs': {
    of: { input: [8, 8], kernel: [3, 3], stride: 1, padding: 1 },
    float32: BOTH,
    bfloat16: BOTH,
  },
};

describe.skipIf(backend.binding.isUsingGpuDevice())('a convolution of', () => {
  describe.each(Object.entries(CASES))('%s', (_, { of, ...expected }) => {
    it.each(['float32', 'bfloat16'] as const)(
      'becomes the products that it should in %s',
      (precision) => {
        expect(left(of, precision)).toEqual(expected[precision]);
      },
    );

    it('computes what TensorFlow computes', () => {
      for (const [name, far] of distances(compiled(of, 'float32'), eager(of))) {
        expect(far, name).toBeLessThan(1e-5);
      }
    });

    it('computes the same in bfloat16, to two digits', () => {
      for (const [name, far] of distances(compiled(of, 'bfloat16'), eager(of))) {
        expect(far, name).toBeLessThan(0.02);
      }
    });
  });

  it('has a bias whose gradient is a matmul', () => {
    const { weights, train } = lossOf({ input: [8, 8], kernel: [3, 3], stride: 1, padding: 1 });
    const { recording, surroundings } = traceFunction(train, weights);
    const sums = ({ ops }: Recording) =>
      ops.filter(({ op, outputs }) => op === 'Sum' && outputs[0]?.shape.length === 1);
    expect(sums(recording)).toHaveLength(1);
    expect(sums(asMatmuls(recording, surroundings, 'float32'))).toHaveLength(0);
  });
});
