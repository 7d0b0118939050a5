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
import { allReadInput, convolve, gradientOfWindows } from './im2col.ts';
import { convolvePointwise, gradientByKernelPositions } from './kernel-positions.ts';

/**
 * Replaces ops that a processor computes faster as matmuls. oneDNN vectorises a convolution along the outputs of a row;
 * where there are few, or a stride separates their inputs, matmuls take down to a third of its time. A sum over rows
 * takes a third to two thirds of Eigen's time. A GPU keeps its own ops.
 */
export function asMatmuls(
  recording: Recording,
  { given }: Surroundings,
  precision: Precision,
): Recording {
  if (backend.binding.isUsingGpuDevice()) return recording;
  const shapes = new Map([...given, ...shapesOf(recording)]);
  const constants = new Map(recording.constants);
  const ops = recording.ops.flatMap((op) => {
    const replacement =
      op.op === 'Sum'
        ? sumOverRows(op, recording, shapes)
        : ofConvolution(op, recording, shapes, precision);
    if (!replacement) return [op];
    const inPlace = replacing(op, replacement);
    for (const [id, constant] of inPlace.constants) constants.set(id, constant);
    return inPlace.ops;
  });
  return { ops, constants };
}

/** Replacement of an op: a function of some of its inputs, with known shapes. */
interface Replacement {
  inputs: readonly { id: number; shape: readonly number[] }[];
  build(...inputs: Tensor[]): Tensor;
}

/** Records the replacement on zeros and gives its inputs and its output the ids of the op's own. */
function replacing({ outputs: [output] }: RecordedOp, { inputs, build }: Replacement): Recording {
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

/** Sums over all axes but the last, as a matmul with ones: [.., channels] -> [channels]. */
function sumOverRows(
  { inputs: [x = -1, axes = -1], outputs: [output] }: RecordedOp,
  { constants }: Recording,
  shapes: ReadonlyMap<number, readonly number[]>,
): Replacement | undefined {
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
  Conv2D: { windows: convolve, kernelPositions: convolvePointwise },
  Conv2DBackpropFilter: { windows: gradientOfWindows, kernelPositions: gradientByKernelPositions },
} as const;

/** Replaces a convolution or the gradient of its kernel. */
function ofConvolution(
  op: RecordedOp,
  recording: Recording,
  shapes: ReadonlyMap<number, readonly number[]>,
  precision: Precision,
): Replacement | undefined {
  const builders = CONVOLUTIONS[op.op as keyof typeof CONVOLUTIONS];
  const asIs = builders && convolutionOf(op, shapes);
  const way = asIs && wayOf(op, asIs, precision);
  if (!way) return undefined;
  const convolution = way === 'windows' ? withoutPad(asIs, recording, shapes) : asIs;
  if (way === 'windows' && !allReadInput(convolution)) return undefined;
  // The last input: the kernel, or the gradient of the outputs for the gradient of the kernel.
  const other = op.inputs.at(-1) as number;
  return {
    inputs: [convolution.input, { id: other, shape: shapes.get(other) as readonly number[] }],
    build: (x, y) => builders[way](convolution, x as Tensor, y as Tensor),
  };
}

/** Matmuls of windows (im2col) are the fastest up to this number of outputs per patch. */
const FEWEST_OUTPUTS = 4;
/** The maximum with a stride. In bfloat16 without a stride, kernel gradients are faster by kernel positions. */
const FEW_OUTPUTS = 16;

/** Returns the faster kind of matmul, or undefined where TensorFlow's op is faster. */
function wayOf(
  { op }: RecordedOp,
  { output, kernel, strides }: Convolution,
  precision: Precision,
): 'windows' | 'kernelPositions' | undefined {
  const outputs = output[1] * output[2];
  const pointwise = kernel[0] * kernel[1] === 1;
  const hasStride = strides[0] * strides[1] > 1;
  if (!pointwise && outputs <= (hasStride ? FEW_OUTPUTS : FEWEST_OUTPUTS)) return 'windows';
  if (pointwise && hasStride) return 'kernelPositions';
  const apart = pointwise || hasStride || outputs <= FEW_OUTPUTS;
  return op === 'Conv2DBackpropFilter' && precision === 'bfloat16' && apart
    ? 'kernelPositions'
    : undefined;
}
