import type { Precision } from '@greedy-infomax/crds';
import { backend, DT, type Tensor, type Tfjs, tensorId, tf } from '../tf.ts';
import { size } from './function.ts';
import { attribute, type RecordedOp, type Recording, record, shapesOf } from './recorder.ts';

/**
 * What processors compute faster as products of matrices than TensorFlow's own operation does: the same recording with
 * these in place. On two cores with AMX, in bfloat16, the gradient of a kernel is two to seven times as fast where oneDNN's
 * reduction over the outputs of a row finds only a few of them, or finds them apart; and a sum over rows takes a third to
 * two thirds of the time, in float32 too. A GPU has no such gaps, as far as is known, and keeps its operations.
 */
export function asProducts(recording: Recording, precision: Precision): Recording {
  if (backend.binding.isUsingGpuDevice()) return recording;
  const shapes = shapesOf(recording);
  const constants = new Map(recording.constants);
  const ops = recording.ops.flatMap((op) => {
    const product =
      op.op === 'Sum'
        ? sumOverRows(op, recording, shapes)
        : op.op === 'Conv2DBackpropFilter' && precision === 'bfloat16'
          ? kernelGradient(op, shapes)
          : undefined;
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

/** Outputs of a patch up to which products are faster, for kernels of several places and no stride. */
const FEW_OUTPUTS = 16;

/**
 * The gradient of a kernel, as products for its places: of what a place sees and the gradients of the outputs. Places of
 * a row that one stride covers lie beside each other in memory, and make one product.
 */
function kernelGradient(
  op: RecordedOp,
  shapes: ReadonlyMap<number, readonly number[]>,
): Product | undefined {
  const {
    inputs: [x = -1, , dy = -1],
    outputs: [output],
  } = op;
  const [from, to, kernel] = [shapes.get(x), shapes.get(dy), output?.shape];
  if (!from || !to || !kernel) return undefined;
  const [patches, rows, cols, channels] = from as [number, number, number, number];
  const [, outRows, outCols, outChannels] = to as [number, number, number, number];
  const [kernelRows, kernelCols] = kernel as [number, number];
  const [, strideRows, strideCols] = attribute(op, 'strides') as [number, number, number];
  const same = attribute(op, 'padding') === 'SAME';
  const onePlace = kernelRows * kernelCols === 1;
  if (!onePlace && strideRows * strideCols === 1 && outRows * outCols > FEW_OUTPUTS)
    return undefined;

  const alongRows = along(rows, kernelRows, strideRows, outRows, same);
  const alongCols = along(cols, kernelCols, strideCols, outCols, same);
  const placesOfRows = Array.from({ length: kernelRows }, (_, place) => ({
    block: Math.floor(place / strideRows),
    within: place % strideRows,
  }));
  const groupsOfCols = Array.from({ length: Math.ceil(kernelCols / strideCols) }, (_, block) => ({
    block,
    places: Math.min(strideCols, kernelCols - block * strideCols),
  }));
  return {
    inputs: [
      { id: x, shape: from },
      { id: dy, shape: to },
    ],
    build(input, gradient) {
      const { padding: padRows, blocks: blockRows } = alongRows;
      const { padding: padCols, blocks: blockCols } = alongCols;
      const padded = [...padRows, ...padCols].some((zeros) => zeros > 0)
        ? tf.pad(input as Tensor, [[0, 0], padRows, padCols, [0, 0]])
        : (input as Tensor);
      // Positions at one place of a stride lie behind each other then, so that what places of the kernel see is a slice.
      const split = tf.reshape(padded, [
        patches,
        blockRows,
        strideRows,
        blockCols,
        strideCols * channels,
      ]);
      const gradients = tf.reshape(gradient as Tensor, [-1, outChannels]) as Tfjs.Tensor2D;
      const ofPlaces = placesOfRows.flatMap((row) =>
        groupsOfCols.map((col) => {
          const seen = tf.slice(
            split,
            [0, row.block, row.within, col.block, 0],
            [patches, outRows, 1, outCols, col.places * channels],
          );
          const flat = tf.reshape(seen, [-1, col.places * channels]) as Tfjs.Tensor2D;
          return tf.matMul(flat, gradients, true); // [places * channels, out channels]
        }),
      );
      return tf.reshape(tf.concat(ofPlaces), [...kernel]);
    },
  };
}

/** Along one axis: the zeros around it, and the strides that it has with them. */
export function along(
  positions: number,
  kernel: number,
  stride: number,
  outputs: number,
  same: boolean,
) {
  const needed = (outputs - 1) * stride + kernel;
  const before = same ? Math.max(needed - positions, 0) >> 1 : 0;
  const blocks = Math.ceil(Math.max(needed, before + positions) / stride);
  return {
    padding: [before, blocks * stride - before - positions] as [number, number],
    blocks,
  };
}
