import type { Precision } from '@greedy-infomax/crds';
import { backend, DT, type Tensor, type Tfjs, tensorId, tf } from '../../tf.ts';
import { size } from '../function.ts';
import {
  type RecordedOp,
  type Recording,
  record,
  type Surroundings,
  shapesOf,
} from '../recorder.ts';
import { type Convolution, convolutionOf, withoutPad } from './convolution.ts';
import { allSee, convolve, gradientOfWindows } from './im2col.ts';
import { convolveOnePlace, gradientOfPlaces } from './kernel-positions.ts';

/**
 * What processors compute faster as products of matrices than TensorFlow's own operation does: the same recording with
 * these in place. oneDNN keeps a processor busy along the outputs of a row; where there are only a few, or a stride sets
 * apart what they see, products take down to a third of its time. A sum over rows takes a third to two thirds of Eigen's.
 * A GPU has no such gaps, as far as is known, and keeps its operations.
 */
export function asProducts(
  recording: Recording,
  { given }: Surroundings,
  precision: Precision,
): Recording {
  if (backend.binding.isUsingGpuDevice()) return recording;
  const shapes = new Map([...given, ...shapesOf(recording)]);
  const constants = new Map(recording.constants);
  const ops = recording.ops.flatMap((op) => {
    const product =
      op.op === 'Sum'
        ? sumOverRows(op, recording, shapes)
        : ofConvolution(op, recording, shapes, precision);
    if (!product) return [op];
    const inPlace = replacing(op, product);
    for (const [id, constant] of inPlace.constants) constants.set(id, constant);
    return inPlace.ops;
  });
  return { ops, constants };
}

/** What stands in for an operation: a function of some of its inputs, whose shapes are known. */
interface Product {
  inputs: readonly { id: number; shape: readonly number[] }[];
  build(...inputs: Tensor[]): Tensor;
}

/** Records the product on zeros, and gives its tensors the ids that they have around the operation. */
function replacing({ outputs: [output] }: RecordedOp, { inputs, build }: Product): Recording {
  let recording: Recording = { ops: [], constants: new Map() };
  tf.tidy(() => {
    const zeros = inputs.map(({ shape }) => tf.zeros([...shape]));
    const ids = new Map(zeros.map((tensor, i) => [tensorId(tensor), inputs[i]?.id as number]));
    const { ops, constants } = record(() => {
      ids.set(tensorId(build(...zeros)), output?.id as number);
    });
    const known = (id: number) => ids.get(id) ?? id;
    recording = {
      ops: ops.map((op) => ({
        ...op,
        inputs: op.inputs.map(known),
        outputs: op.outputs.map((each) => ({ ...each, id: known(each.id) })),
      })),
      constants,
    };
  });
  return recording;
}

/** [.., channels] -> [channels], as a product with ones. */
function sumOverRows(
  { inputs: [x = -1, axes = -1], outputs: [output] }: RecordedOp,
  { constants }: Recording,
  shapes: ReadonlyMap<number, readonly number[]>,
): Product | undefined {
  const shape = shapes.get(x);
  const summed = constants.get(axes)?.values;
  const channels = shape?.at(-1) as number;
  const allButLast =
    shape && summed?.every((axis, i) => axis === i) && summed.length === shape.length - 1;
  if (!allButLast || output?.dtype !== DT.float32 || output.shape.length !== 1) return undefined;
  const rows = size(shape) / channels;
  return {
    inputs: [{ id: x, shape }],
    build: (values) =>
      tf.reshape(
        tf.matMul(
          tf.fill([1, rows], 1) as Tfjs.Tensor2D,
          tf.reshape(values, [rows, channels]) as Tfjs.Tensor2D,
        ),
        [channels],
      ),
  };
}

const CONVOLUTIONS = {
  Conv2D: { windows: convolve, places: convolveOnePlace },
  Conv2DBackpropFilter: { windows: gradientOfWindows, places: gradientOfPlaces },
} as const;

/** A convolution, or the gradient of its kernel. */
function ofConvolution(
  op: RecordedOp,
  recording: Recording,
  shapes: ReadonlyMap<number, readonly number[]>,
  precision: Precision,
): Product | undefined {
  const builders = CONVOLUTIONS[op.op as keyof typeof CONVOLUTIONS];
  const asIs = builders && convolutionOf(op, shapes);
  const way = asIs && wayOf(op, asIs, precision);
  if (!way) return undefined;
  const convolution = way === 'windows' ? withoutPad(asIs, recording, shapes) : asIs;
  if (way === 'windows' && !allSee(convolution)) return undefined;
  // The kernel or, for its gradient, that of the outputs: the last input of both.
  const other = op.inputs.at(-1) as number;
  return {
    inputs: [convolution.input, { id: other, shape: shapes.get(other) as readonly number[] }],
    build: (x, y) => builders[way](convolution, x as Tensor, y as Tensor),
  };
}

/** Outputs of a patch up to which products of their windows are the fastest. */
const FEWEST_OUTPUTS = 4;
/** The same with a stride. In bfloat16 without one, gradients of kernels are faster as products for places. */
const FEW_OUTPUTS = 16;

/** By which products it is faster; undefined if by none. */
function wayOf(
  { op }: RecordedOp,
  { output, kernel, strides }: Convolution,
  precision: Precision,
): 'windows' | 'places' | undefined {
  const outputs = output[1] * output[2];
  const onePlace = kernel[0] * kernel[1] === 1;
  const hasStride = strides[0] * strides[1] > 1;
  if (!onePlace && outputs <= (hasStride ? FEW_OUTPUTS : FEWEST_OUTPUTS)) return 'windows';
  if (onePlace && hasStride) return 'places';
  const apart = onePlace || hasStride || outputs <= FEW_OUTPUTS;
  return op === 'Conv2DBackpropFilter' && precision === 'bfloat16' && apart ? 'places' : undefined;
}
