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
 * TensorFlow ops without a tfjs function. tfjs knows neither bytes nor bfloat16: a tensor of bytes reports the dtype
 * `int32`, and only the functions of this file accept it.
 */

const ints = (name: string, value: number[]): OpAttr => ({ name, type: ATTR.int, value });

/** Runs an op with one output of any dtype on tensors named by their ids in the addon. */
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

/** Returns x without a gradient: tfjs does not record ops that bypass its own functions. */
export const stopGradient = (x: Tensor): Tensor =>
  op('StopGradient', [typeAttr('T', DT.float32)], [x]);

export const identity = (x: Tensor): Tensor => op('Identity', [typeAttr('T', DT.float32)], [x]);

/** Reinterprets bits: float32 [..] -> bytes [.., 4], or the reverse. */
export const bitcast = (x: Tensor, from: DataType, to: DataType): Tensor =>
  op('Bitcast', [typeAttr('T', from), typeAttr('type', to)], [x]);

/** float32 [..] -> bytes [.., 2] of the nearest bfloat16; `fromBfloat16` is the reverse. */
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

/** Signed 16-bit integers, little-endian, as bytes [.., 2] -> float32 [..]. */
export const fromInt16 = (x: Tensor): Tensor =>
  through(
    x,
    ['Bitcast', [typeAttr('T', DT.uint8), typeAttr('type', DT.int16)]],
    ['Cast', [typeAttr('SrcT', DT.int16), typeAttr('DstT', DT.float32)]],
  );

/** Runs two ops in a row; the tensor between them has a dtype that tfjs cannot hold. */
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

/** Slices bytes from `begin` to before `end` along the first axes; bit i of `whole` selects all of axis i. */
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

/** Concatenates bytes [rows, columns] along an axis. */
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

/** Pads x with zeros before and after each axis; returns x itself where there are none. */
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
 * Returns int32 [shape], uniform in 0 .. max - 1, as a function of `seed` int32 [2] only: the same in eager mode, in a
 * graph, and after a restart.
 */
export const randomInts = (seed: Tensor, shape: number[], max: number): Tensor =>
  op(
    'StatelessRandomUniformInt',
    [typeAttr('dtype', DT.int32), typeAttr('T', DT.int32), typeAttr('Tseed', DT.int32)],
    [tf.tensor1d(shape, 'int32'), seed, tf.scalar(0, 'int32'), tf.scalar(max, 'int32')],
  );

/**
 * Returns int32 [shape.., count]: `count` distinct numbers of 0 .. max - 1 in random order along the last axis, as a
 * function of `seed` like `randomInts`.
 */
export function distinctInts(seed: Tensor, shape: number[], count: number, max: number): Tensor {
  const keys = randomInts(seed, [...shape, max], 0x7fff_ffff);
  // Indices of the highest keys. Equal keys, one pair in two billion, only make the order less random.
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

/** Tensors without negative values: relu returns them unchanged, which saves a copy in both directions. */
const NON_NEGATIVE = new WeakSet<Tensor>();

/** Marks `x` as having no negative values. */
export function nonNegative(x: Tensor): Tensor {
  NON_NEGATIVE.add(x);
  return x;
}

export const relu = (x: Tensor): Tensor => (NON_NEGATIVE.has(x) ? x : nonNegative(tf.relu(x)));

/** Returns the gradient of relu: `dy` where the output `y` is above zero. */
export const reluGrad = (dy: Tensor, y: Tensor): Tensor =>
  op('ReluGrad', [typeAttr('T', DT.float32)], [dy, y]);

/**
 * Returns the rows of x at the indices: x [n, ..], indices int32 [..] -> [indices.., ..]. tf.gather would read the
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
