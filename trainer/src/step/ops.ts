import {
  ATTR,
  backend,
  type DataType,
  DT,
  type OpAttr,
  type Tensor,
  type TensorMetadata,
  tensorId,
  tf,
} from '../tf.ts';
import { sliceAttrs, typeAttr } from './graph.ts';

/**
 * TensorFlow operations that tfjs has no function for. tfjs knows neither bytes nor bfloat16: a tensor
 * of bytes says `int32` of itself and may only be given to the functions of this file.
 */

const ints = (name: string, value: number[]): OpAttr => ({ name, type: ATTR.int, value });

/** Runs an operation of one output, whatever it holds, on tensors by their ids in the addon. */
export function run(name: string, attrs: OpAttr[], inputs: number[]): TensorMetadata {
  const [output] = backend.binding.executeOp(name, attrs, inputs, 1);
  if (!output) throw new Error(`${name} gave no output`);
  return output;
}

const op = (name: string, attrs: OpAttr[], inputs: Tensor[]): Tensor =>
  backend.createOutputTensor(run(name, attrs, inputs.map(tensorId)));

/** [..] of `from` -> [..] of `to`. */
export const cast = (x: Tensor, from: DataType, to: DataType): Tensor =>
  op('Cast', [typeAttr('SrcT', from), typeAttr('DstT', to)], [x]);

/** The same values, beyond which no gradient goes: what does not go through tfjs is not in its record. */
export const stopGradient = (x: Tensor): Tensor =>
  op('StopGradient', [typeAttr('T', DT.float32)], [x]);

export const identity = (x: Tensor): Tensor => op('Identity', [typeAttr('T', DT.float32)], [x]);

/** Reinterprets bits: float32 [..] -> bytes [.., 4], and back. */
export const bitcast = (x: Tensor, from: DataType, to: DataType): Tensor =>
  op('Bitcast', [typeAttr('T', from), typeAttr('type', to)], [x]);

/** float32 [..] -> bytes [.., 2] of the nearest bfloat16, and `fromBfloat16` back. */
export function toBfloat16(x: Tensor): Tensor {
  return through(
    x,
    ['Cast', [typeAttr('SrcT', DT.float32), typeAttr('DstT', DT.bfloat16)]],
    ['Bitcast', [typeAttr('T', DT.bfloat16), typeAttr('type', DT.uint8)]],
  );
}

export function fromBfloat16(x: Tensor): Tensor {
  return through(
    x,
    ['Bitcast', [typeAttr('T', DT.uint8), typeAttr('type', DT.bfloat16)]],
    ['Cast', [typeAttr('SrcT', DT.bfloat16), typeAttr('DstT', DT.float32)]],
  );
}

/** bytes [.., 2] of 16 bits with a sign, the lower byte first -> float32 [..]. */
export const fromInt16 = (x: Tensor): Tensor =>
  through(
    x,
    ['Bitcast', [typeAttr('T', DT.uint8), typeAttr('type', DT.int16)]],
    ['Cast', [typeAttr('SrcT', DT.int16), typeAttr('DstT', DT.float32)]],
  );

/** Two operations with a tensor between them of a type that tfjs could not hold. */
function through(x: Tensor, first: [string, OpAttr[]], second: [string, OpAttr[]]): Tensor {
  const between = run(first[0], first[1], [tensorId(x)]);
  const output = run(second[0], second[1], [between.id]);
  backend.binding.deleteTensor(between.id);
  return backend.createOutputTensor(output);
}

/** Bytes of any shape -> bytes of `shape`. */
export const reshapeBytes = (x: Tensor, shape: number[]): Tensor =>
  op(
    'Reshape',
    [typeAttr('T', DT.uint8), typeAttr('Tshape', DT.int32)],
    [x, tf.tensor1d(shape, 'int32')],
  );

/** Columns begin .. begin + size of bytes [rows, columns]. (Slice has no kernel for bytes on a GPU.) */
export const sliceBytes = (x: Tensor, begin: number, size: number): Tensor =>
  stridedSlice(x, 1, [0, begin], [0, begin + size]);

/** Rows begin .. begin + size of bytes [rows, ..]. */
export const rowsOfBytes = (x: Tensor, begin: number, size: number): Tensor =>
  stridedSlice(x, 0, [begin], [begin + size]);

/** From `begin` to before `end` of bytes, along as many axes as these have numbers; all of those in the mask `whole`. */
const stridedSlice = (x: Tensor, whole: number, begin: number[], end: number[]): Tensor =>
  op('StridedSlice', sliceAttrs(whole), [
    x,
    tf.tensor1d(begin, 'int32'),
    tf.tensor1d(end, 'int32'),
    tf.tensor1d(
      begin.map(() => 1),
      'int32',
    ),
  ]);

/** Bytes [rows, columns] that are joined along an axis. */
export const concatBytes = (parts: readonly Tensor[], axis: 0 | 1): Tensor =>
  op(
    'ConcatV2',
    [
      { name: 'N', type: ATTR.int, value: parts.length },
      typeAttr('T', DT.uint8),
      typeAttr('Tidx', DT.int32),
    ],
    [...parts, tf.scalar(axis, 'int32')],
  );

/** With zeros before and after, along each axis; without a copy where there are to be none. */
export const withZeros = (x: Tensor, around: [before: number, after: number][]): Tensor =>
  around.flat().some((zeros) => zeros > 0) ? tf.pad(x, around) : x;

/** [images, rows, cols, channels] -> [images, grid rows, grid cols, size * size * channels]. */
export const extractPatches = (x: Tensor, size: number, stride: number): Tensor =>
  op(
    'ExtractImagePatches',
    [
      ints('ksizes', [1, size, size, 1]),
      ints('strides', [1, stride, stride, 1]),
      ints('rates', [1, 1, 1, 1]),
      typeAttr('T', DT.float32),
      { name: 'padding', type: ATTR.string, value: 'VALID' },
    ],
    [x],
  );

/**
 * int32 [shape], uniform in 0 .. max - 1, a function of `seed` int32 [2] alone: the same in eager mode,
 * in a graph, and after a restart.
 */
export const randomInts = (seed: Tensor, shape: number[], max: number): Tensor =>
  op(
    'StatelessRandomUniformInt',
    [typeAttr('dtype', DT.int32), typeAttr('T', DT.int32), typeAttr('Tseed', DT.int32)],
    [tf.tensor1d(shape, 'int32'), seed, tf.scalar(0, 'int32'), tf.scalar(max, 'int32')],
  );

/**
 * int32 [shape.., count]: along the last axis `count` different numbers of 0 .. max - 1 in random order, as a
 * function of `seed` like `randomInts`.
 */
export function distinctInts(seed: Tensor, shape: number[], count: number, max: number): Tensor {
  const keys = randomInts(seed, [...shape, max], 0x7fff_ffff);
  // The places of the highest keys. Equal keys, one pair in two milliards, only make an order less random.
  const [values, places] = backend.binding.executeOp(
    'TopKV2',
    [{ name: 'sorted', type: ATTR.bool, value: true }, typeAttr('T', DT.int32)],
    [tensorId(keys), tensorId(tf.scalar(count, 'int32'))],
    2,
  );
  if (!values || !places) throw new Error('TopKV2 gave no output');
  backend.binding.deleteTensor(values.id);
  return backend.createOutputTensor(places);
}

/** Tensors that hold nothing below zero: their relu is they themselves, which spares a copy and its gradient another. */
const NON_NEGATIVE = new WeakSet<Tensor>();

/** Says of `x` that it holds nothing below zero. */
export function nonNegative(x: Tensor): Tensor {
  NON_NEGATIVE.add(x);
  return x;
}

export const relu = (x: Tensor): Tensor => (NON_NEGATIVE.has(x) ? x : nonNegative(tf.relu(x)));

/** The gradient of relu: `dy` where `y`, its output, is above zero. */
export const reluGrad = (dy: Tensor, y: Tensor): Tensor =>
  op('ReluGrad', [typeAttr('T', DT.float32)], [dy, y]);

/**
 * x [n, ..], indices int32 [..] -> the rows of x at the indices: [indices.., ..]. tf.gather would read the
 * indices to check them, which a recorded step cannot.
 */
export function pick(x: Tensor, indices: Tensor): Tensor {
  const n = x.shape[0] as number;
  return tf.customGrad((values, save) => {
    (save as (tensors: Tensor[]) => void)([indices]);
    const value = op(
      'GatherV2',
      [
        { name: 'batch_dims', type: ATTR.int, value: 0 },
        typeAttr('Tparams', DT.float32),
        typeAttr('Tindices', DT.int32),
        typeAttr('Taxis', DT.int32),
      ],
      [values as Tensor, indices, tf.scalar(0, 'int32')],
    );
    const gradFunc = (dy: Tensor, [saved]: Tensor[]) =>
      op(
        'UnsortedSegmentSum',
        [
          typeAttr('T', DT.float32),
          typeAttr('Tindices', DT.int32),
          typeAttr('Tnumsegments', DT.int32),
        ],
        [dy, saved as Tensor, tf.scalar(n, 'int32')],
      );
    return { value, gradFunc };
  })(x);
}
