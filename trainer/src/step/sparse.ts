import { ATTR, backend, DT, type OpAttr, type Tensor, tensorId, tf } from '../tf.ts';
import { typeAttr } from './graph.ts';
import { run } from './ops.ts';

/** A matrix [rows, columns] with values [rows, n] at columns `at`, int32 [rows, n]; values at the same position add up. */
export interface Sparse {
  values: Tensor;
  at: Tensor;
  columns: number;
}

/**
 * Returns the matrix times `right` [columns, channels], and its transpose times `left` [rows, channels]. The order of
 * summation is deterministic. For processors only: a GPU may lack the ops, and multiplies zeros as fast.
 */
export function sparseMatmuls(
  { values, at, columns }: Sparse,
  right: Tensor,
  left: Tensor,
): { right: Tensor; left: Tensor } {
  const [rows, n] = at.shape as [number, number];
  const rowsOfValues = tf.tile(tf.expandDims(tf.range(0, rows, 1, 'int32'), 1), [1, n]);
  const coordinates = tf.stack([tf.reshape(rowsOfValues, [-1]), tf.reshape(at, [-1])], 1); // [rows * n, 2]
  // int64 and sparse matrices stay in the addon, because tfjs cannot hold them.
  const between: number[] = [];
  const make = (op: string, attrs: OpAttr[], inputs: number[]): number => {
    const { id } = run(op, attrs, inputs);
    between.push(id);
    return id;
  };
  const int64 = (tensor: Tensor) =>
    make('Cast', [typeAttr('SrcT', DT.int32), typeAttr('DstT', DT.int64)], [tensorId(tensor)]);
  const shape = tf.tensor1d([rows, columns], 'int32');
  const flat = tf.reshape(values, [-1]);
  const matrix = make(
    'SparseTensorToCSRSparseMatrix',
    [typeAttr('T', DT.float32)],
    [int64(coordinates), tensorId(flat), int64(shape)],
  );
  // With `transpose_a`, threads would add to the same sums in any order and take three times as long.
  const transposed = make(
    'SparseMatrixTranspose',
    [unset('conjugate'), typeAttr('type', DT.float32)],
    [matrix],
  );
  const times = (by: number, x: Tensor): Tensor =>
    backend.createOutputTensor(run('SparseMatrixMatMul', PRODUCT, [by, tensorId(x)]));
  const products = { right: times(matrix, right), left: times(transposed, left) };
  for (const id of between) backend.binding.deleteTensor(id);
  return products;
}

const unset = (name: string): OpAttr => ({ name, type: ATTR.bool, value: false });

const PRODUCT = [
  typeAttr('T', DT.float32),
  unset('transpose_a'),
  unset('transpose_b'),
  unset('adjoint_a'),
  unset('adjoint_b'),
  unset('transpose_output'),
  unset('conjugate_output'),
];
