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

/**
 * Counts the operations of a step's matmuls and convolutions, and measures the machine's peak rate.
 */

type Shape = readonly number[];

/** Operations of the convolutions and matmuls in a module's training step. */
export const operationsOfStep = (config: ModuleConfig): number =>
  operationsOf(fastStep(config).train, moduleWeights(config));

/** Operations of any function, as requested from TensorFlow. */
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

/** Excludes the padding: oneDNN skips its zeros. */
function operationsOfConvolution(convolution: Convolution): number {
  const [patches] = convolution.output;
  const [, , channelsIn, channels] = convolution.kernel;
  const seen = ([0, 1] as const).map((axis) =>
    windowsAlong(convolution, axis).reduce((sum, { positions }) => sum + positions, 0),
  );
  return 2 * patches * size(seen) * channelsIn * channels;
}

/**
 * Shapes [.., m, k] and [.., k, n], either of them transposed or not, give [.., m, n]; one operand
 * may be shared by the stack.
 */
function operationsOfProduct(a: Shape, output: Shape): number {
  const [m = 1] = output.slice(-2);
  return 2 * size(output) * (size(a.slice(-2)) / m);
}

/** Side of the matrices; a GPU needs larger ones for full load. */
const SIDE = backend.binding.isUsingGpuDevice() ? 8192 : 2048;
const PRODUCTS_IN_A_ROW = 2;

/** Matmuls of large matrices, one per parallel operation: measures the machine's peak rate. */
export class LargeProduct {
  readonly operations = operationsSideBySide() * PRODUCTS_IN_A_ROW * 2 * SIDE ** 3;
  readonly #program: Program<'multiply'>;

  constructor(precision: Precision) {
    const shape = [SIDE, SIDE];
    // Scaled so that products of the matrices keep the size of their values.
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
              let product = tf.add(matrix as Tensor, each); // Operands must differ.
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

  /** Multiplies for `seconds`; returns the sum of the product in place of a loss. */
  run(seconds: number): Turn {
    return turnOf(seconds, () => this.#program.run('multiply', {}).sum?.[0] as number);
  }

  dispose(): void {
    this.#program.dispose();
  }
}
