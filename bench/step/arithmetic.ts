import { type ModuleConfig, optimizerSchema, type Precision } from '@greedy-infomax/crds';
import { fastStep } from '../../trainer/src/module/fast-step.ts';
import { moduleWeights } from '../../trainer/src/module/program.ts';
import { type StepFunction, size, type WeightValue } from '../../trainer/src/step/function.ts';
import {
  type Convolution,
  convolutionOf,
  windowsAlong,
  withoutPad,
} from '../../trainer/src/step/passes/convolution.ts';
import { Program } from '../../trainer/src/step/program.ts';
import { shapesOf } from '../../trainer/src/step/recorder.ts';
import { traceFunction } from '../../trainer/src/step/trace.ts';
import { backend, type Tensor, tf } from '../../trainer/src/tf.ts';
import { operationsSideBySide } from '../../trainer/src/threads.ts';
import { type Turn, turnOf } from './own.ts';

/** How many operations a step needs for its products, and how many the machine makes at best. */

type Shape = readonly number[];

/** Operations of the convolutions and the products of matrices in a module's step of training. */
export const operationsOfStep = (config: ModuleConfig): number =>
  operationsOf(fastStep(config).train, moduleWeights(config));

/** The same of any function, as TensorFlow is asked for them. */
export function operationsOf(
  fn: StepFunction,
  weights: Readonly<Record<string, WeightValue>>,
): number {
  const { recording, surroundings } = traceFunction(fn, weights);
  const shapes = new Map<number, Shape>([...surroundings.given, ...shapesOf(recording)]);
  let sum = 0;
  for (const op of recording.ops) {
    const convolution = convolutionOf(op, shapes);
    const [a] = op.inputs.map((id) => shapes.get(id));
    const [output] = op.outputs;
    if (convolution) {
      sum += operationsOfConvolution(withoutPad(convolution, recording, shapes));
    } else if (PRODUCTS.has(op.op) && a && output) {
      sum += operationsOfProduct(a, output.shape);
    }
  }
  return sum;
}

const PRODUCTS: ReadonlySet<string> = new Set(['MatMul', 'BatchMatMulV2']);

/** Of the zeros around the map none is multiplied: oneDNN leaves them out. */
function operationsOfConvolution(convolution: Convolution): number {
  const [patches] = convolution.output;
  const [, , channelsIn, channels] = convolution.kernel;
  const seen = ([0, 1] as const).map((axis) =>
    windowsAlong(convolution, axis).reduce((sum, { positions }) => sum + positions, 0),
  );
  return 2 * patches * size(seen) * channelsIn * channels;
}

/** .., m, k and .., k, n, either of them transposed or not -> .., m, n; one may be the same for all of the others. */
function operationsOfProduct(a: Shape, output: Shape): number {
  const [m = 1] = output.slice(-2);
  return 2 * size(output) * (size(a.slice(-2)) / m);
}

/** Side of the matrices; a GPU needs larger ones to be busy. */
const SIDE = backend.binding.isUsingGpuDevice() ? 8192 : 2048;
const PRODUCTS_IN_A_ROW = 2;

/** Products of large matrices, one for each operation that runs side by side: what the machine multiplies at its fastest. */
export class LargeProduct {
  readonly operations = operationsSideBySide() * PRODUCTS_IN_A_ROW * 2 * SIDE ** 3;
  readonly #program: Program<'multiply'>;

  constructor(precision: Precision) {
    const shape = [SIDE, SIDE];
    // So spread that products of them have values of the same size.
    const values = Float32Array.from(
      { length: size(shape) },
      () => (Math.random() - 0.5) * Math.sqrt(12 / SIDE),
    );
    this.#program = Program.compile({
      weights: { matrix: { shape, values } },
      optimizer: optimizerSchema.parse({ type: 'adam', learningRate: 1e-3 }),
      precision,
      functions: {
        multiply: {
          inputs: {},
          build: (_, { matrix }) => {
            const sums = Array.from({ length: operationsSideBySide() }, (_, each) => {
              let product = tf.add(matrix as Tensor, each); // no two are the same, so that each is computed
              for (let i = 0; i < PRODUCTS_IN_A_ROW; i += 1) {
                product = tf.matMul(product, matrix as Tensor);
              }
              return tf.sum(product);
            });
            return { sum: tf.addN(sums) };
          },
        },
      },
    });
    this.#program.run('multiply', {});
  }

  /** Multiplies for so long; in place of a loss it gives the sum of the product. */
  run(seconds: number): Turn {
    return turnOf(seconds, () => this.#program.run('multiply', {}).sum?.[0] as number);
  }

  dispose(): void {
    this.#program.dispose();
  }
}
