import { DT, type Values } from '../tf.ts';
import { size, type TensorSpec } from './function.ts';
import { type GraphBuilder, sliceAttrs, typeAttr } from './graph.ts';

/**
 * Transport of values into a graph and out of it, as int32 views: the addon cannot read bytes back, and it copies all
 * other types to the GPU and back before it feeds them.
 */

const WORD = 4;

/** Number of int32 words for `bytes`; the last word may be partly used. */
const wordsFor = (bytes: number): number => Math.ceil(bytes / WORD);

/** Returns an int32 view of the values' memory, or a copy where the memory is not aligned. */
export function asWords(values: Values): Int32Array {
  const { buffer, byteOffset, byteLength } = values;
  const count = wordsFor(byteLength);
  if (byteOffset % WORD === 0 && byteOffset + WORD * count <= buffer.byteLength) {
    return new Int32Array(buffer, byteOffset, count);
  }
  const words = new Int32Array(count);
  new Uint8Array(words.buffer).set(new Uint8Array(buffer, byteOffset, byteLength));
  return words;
}

/** Adds a placeholder named `name` for the int32 view of a tensor; returns the node of the tensor. */
export function addInput(graph: GraphBuilder, name: string, { shape, dtype }: TensorSpec): string {
  if (dtype === 'int32') return graph.placeholder(name, shape, DT.int32);
  if (dtype === 'float32') {
    return bitcast(graph, `${name}/value`, graph.placeholder(name, shape, DT.int32), 'float32');
  }
  const bytes = size(shape);
  const words = graph.placeholder(name, [wordsFor(bytes)], DT.int32);
  const flat = reshape(graph, `${name}/flat`, bitcast(graph, `${name}/bytes`, words, 'uint8'), [
    WORD * wordsFor(bytes),
  ]);
  return reshape(graph, `${name}/value`, firstBytes(graph, `${name}/first`, flat, bytes), shape);
}

/** Adds the int32 view of `count` bytes. */
export function addWords(graph: GraphBuilder, name: string, bytes: string, count: number): string {
  let flat = reshape(graph, `${name}/flat`, bytes, [count]);
  const missing = WORD * wordsFor(count) - count;
  if (missing > 0) {
    const paddings = ints(graph, `${name}/paddings`, [1, 2], [0, missing]);
    flat = graph.node(
      `${name}/padded`,
      'Pad',
      [flat, paddings],
      [typeAttr('T', DT.uint8), typeAttr('Tpaddings', DT.int32)],
    );
  }
  const rows = reshape(graph, `${name}/rows`, flat, [wordsFor(count), WORD]);
  const attrs = [typeAttr('T', DT.uint8), typeAttr('type', DT.int32)];
  return graph.node(`${name}/words`, 'Bitcast', [rows], attrs);
}

const ints = (graph: GraphBuilder, name: string, shape: number[], values: readonly number[]) =>
  graph.constant(name, shape, DT.int32, Int32Array.from(values));

const bitcast = (
  graph: GraphBuilder,
  name: string,
  words: string,
  dtype: 'float32' | 'uint8',
): string =>
  graph.node(name, 'Bitcast', [words], [typeAttr('T', DT.int32), typeAttr('type', DT[dtype])]);

const reshape = (graph: GraphBuilder, name: string, bytes: string, shape: readonly number[]) =>
  graph.node(
    name,
    'Reshape',
    [bytes, ints(graph, `${name}_shape`, [shape.length], shape)],
    [typeAttr('T', DT.uint8), typeAttr('Tshape', DT.int32)],
  );

function firstBytes(graph: GraphBuilder, name: string, bytes: string, count: number): string {
  if (count % WORD === 0) return bytes;
  return graph.node(
    name,
    'StridedSlice',
    [
      bytes,
      ints(graph, `${name}_begin`, [1], [0]),
      ints(graph, `${name}_end`, [1], [count]),
      ints(graph, `${name}_strides`, [1], [1]),
    ],
    sliceAttrs(0),
  );
}
