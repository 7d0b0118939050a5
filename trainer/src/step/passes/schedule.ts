import { ATTR, type Tensor, tf } from '../../tf.ts';
import { identity } from '../ops.ts';
import { attribute, type RecordedOp, recordMark } from '../recorder.ts';

/**
 * Execution order of micro-batches. TensorFlow runs every op that is ready: it would compute one map of each micro-batch
 * before the next map of any, and find none of them in the caches. Each group of ops starts when the group before it on
 * the same thread has ended.
 */

/** Mark in a recording: the ops after it, up to the next mark, are a group. */
const GROUP = 'Group';

/**
 * Starts a group of ops, up to the next call; `sideBySide` groups run at a time. Only the first op of a group gets the
 * control dependency; every other op of the group must depend on it.
 */
export function beginGroup(sideBySide: number): void {
  recordMark({
    op: GROUP,
    attrs: [{ name: 'sideBySide', type: ATTR.int, value: sideBySide }],
    inputs: [],
    outputs: [],
  });
}

/** Returns x; its gradient starts another group. */
export function beginGroupOnGradient(x: Tensor, sideBySide: number): Tensor {
  return tf.customGrad((value) => ({
    value: tf.reshape(value as Tensor, (value as Tensor).shape),
    gradFunc: (dy: Tensor) => {
      beginGroup(sideBySide);
      return identity(dy);
    },
  }))(x);
}

/** Reports whether it is an op and not the mark of a group. */
export const isOperation = ({ op }: RecordedOp): boolean => op !== GROUP;

/** Returns, for the first op of each group, the last tensors of the group before it on the same thread. */
export function scheduleDependencies(
  ops: readonly RecordedOp[],
): ReadonlyMap<RecordedOp, readonly number[]> {
  const groups: RecordedOp[][] = [];
  const found = new Map<RecordedOp, number[]>();
  let sideBySide = 0;
  for (const op of ops) {
    if (op.op === GROUP) {
      sideBySide = attribute(op, 'sideBySide') as number;
      groups.push([]);
      continue;
    }
    const group = groups.at(-1);
    group?.push(op);
    const before = groups.at(-1 - sideBySide);
    if (group?.length === 1 && before) found.set(op, madeLast(before));
  }
  return found;
}

/**
 * Ops that TensorFlow fuses with the op before them, or moves behind a concatenation. A dependency on them would prevent
 * that, or create a cycle in the graph.
 */
const MERGED: ReadonlySet<string> = new Set([
  'Add',
  'AddN',
  'BiasAdd',
  'Conv2D',
  'Identity',
  'Relu',
  'Reshape',
  'Sigmoid',
  'Tanh',
]);

/** Returns the results of a group that no op of the group uses, without those of fused ops. */
function madeLast(group: readonly RecordedOp[]): number[] {
  const needed = new Set<number>();
  const last: number[] = [];
  for (const { op, inputs, outputs } of group.toReversed()) {
    const isNeeded = outputs.some(({ id }) => needed.has(id));
    if (MERGED.has(op) && !isNeeded) continue;
    if (!isNeeded) last.push(...outputs.slice(0, 1).map(({ id }) => id));
    for (const id of inputs) needed.add(id);
  }
  return last.toReversed();
}
