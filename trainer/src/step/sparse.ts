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

/**
 * Products with a matrix that is mostly zeros. Sums are made in the same order each time. For processors: a GPU may lack the
 * operations, and multiplies zeros as fast.
 */

/** A matrix [rows, columns] with values [rows, n] at columns `at`, int32 [rows, n]; those at the same place add up. */
export interface Sparse {
  values: Tensor;
  at: Tensor;
  columns: number;
}

/** The matrix times x [columns, channels]: [rows, channels]. */
export const times = (matrix: Sparse, x: Tensor): Tensor => product(matrix, x, false);

/** The transpose of the matrix times x [rows, channels]: [columns, channels]. */
export const transposeTimes = (matrix: Sparse, x: Tensor): Tensor => product(matrix, x, true);

function product({ values, at, columns }: Sparse, x: Tensor, transposed: boolean): Tensor {
  const [rows, n] = at.shape as [number, number];
  const rowsOfValues = tf.tile(tf.expandDims(tf.range(0, rows, 1, 'int32'), 1), [1, n]);
  const places = tf.stack([tf.reshape(rowsOfValues, [-1]), tf.reshape(at, [-1])], 1); // [rows * n, 2]
  // What tfjs could not hold, int64 and sparse matrices, stays in the addon.
  const between: number[] = [];
  const make = (op: string, attrs: OpAttr[], inputs: number[]): number => {
    const { id } = run(op, attrs, inputs);
    between.push(id);
    return id;
  };
  const int64 = (tensor: Tensor) =>
    make('Cast', [type('SrcT', DT.int32), type('DstT', DT.int64)], [tensorId(tensor)]);
  const shape = tf.tensor1d([rows, columns], 'int32');
  const flat = tf.reshape(values, [-1]);
  let matrix = make(
    'SparseTensorToCSRSparseMatrix',
    [type('T', DT.float32)],
    [int64(places), tensorId(flat), int64(shape)],
  );
  if (transposed) {
    // With `transpose_a` of the product threads would add to the same sums in any order, and take three times as long.
    matrix = make('SparseMatrixTranspose', [flag('conjugate'), type('type', DT.float32)], [matrix]);
  }
  const output = run('SparseMatrixMatMul', PRODUCT, [matrix, tensorId(x)]);
  for (const id of between) backend.binding.deleteTensor(id);
  return backend.createOutputTensor(output);
}

function run(op: string, attrs: OpAttr[], inputs: number[]): TensorMetadata {
  const [output] = backend.binding.executeOp(op, attrs, inputs, 1);
  if (!output) throw new Error(`${op} gave no output`);
  return output;
}

const type = (name: string, value: DataType): OpAttr => ({ name, type: ATTR.type, value });
/** One that is not set. */
const flag = (name: string): OpAttr => ({ name, type: ATTR.bool, value: false });

const PRODUCT = [
  type('T', DT.float32),
  flag('transpose_a'),
  flag('transpose_b'),
  flag('adjoint_a'),
  flag('adjoint_b'),
  flag('transpose_output'),
  flag('conjugate_output'),
];
