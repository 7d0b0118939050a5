import { ATTR, type Tensor, tf } from '../../tf.ts';
import { identity } from '../ops.ts';
import { attribute, type RecordedOp, recordMark } from '../recorder.ts';

/**
 * Parts of a step that threads take by turns. TensorFlow runs whatever is ready: it would take a map of each part before it goes on
 * with any, and find none of them in the caches. A turn begins when the one that had its thread before it is over.
 */

/** Stands in a recording for no operation: those after it, up to the next, are a turn. */
const TURN = 'Turn';

/**
 * What is recorded from here to the next call is a turn, of which `sideBySide` run at a time. Its first operation waits,
 * so that all others must need what that makes.
 */
export function beginTurn(sideBySide: number): void {
  recordMark({
    op: TURN,
    attrs: [{ name: 'sideBySide', type: ATTR.int, value: sideBySide }],
    inputs: [],
    outputs: [],
  });
}

/** The same x, with whose gradient another turn begins. */
export function turnBack(x: Tensor, sideBySide: number): Tensor {
  return tf.customGrad((value) => ({
    value: tf.reshape(value as Tensor, (value as Tensor).shape),
    gradFunc: (dy: Tensor) => {
      beginTurn(sideBySide);
      return identity(dy);
    },
  }))(x);
}

/** Whether it is one of the recording's operations, and not the mark of a turn. */
export const isOperation = ({ op }: RecordedOp): boolean => op !== TURN;

/** By the first operation of a turn, the tensors that must be there before it: what the turn before has made last. */
export function waits(ops: readonly RecordedOp[]): ReadonlyMap<RecordedOp, readonly number[]> {
  const turns: RecordedOp[][] = [];
  const found = new Map<RecordedOp, number[]>();
  let sideBySide = 0;
  for (const op of ops) {
    if (op.op === TURN) {
      sideBySide = attribute(op, 'sideBySide') as number;
      turns.push([]);
      continue;
    }
    const turn = turns.at(-1);
    turn?.push(op);
    const before = turns.at(-1 - sideBySide);
    if (turn?.length === 1 && before) found.set(op, madeLast(before));
  }
  return found;
}

/**
 * Operations that TensorFlow takes together with those before them, or moves behind where parts are joined: it would not where
 * another one waits for them, or would make a graph that waits for itself.
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

/** What the other operations of a turn have made that none of these needs. */
function madeLast(turn: readonly RecordedOp[]): number[] {
  const needed = new Set<number>();
  const last: number[] = [];
  for (const { op, inputs, outputs } of turn.toReversed()) {
    const isNeeded = outputs.some(({ id }) => needed.has(id));
    if (MERGED.has(op) && !isNeeded) continue;
    if (!isNeeded) last.push(...outputs.slice(0, 1).map(({ id }) => id));
    for (const id of inputs) needed.add(id);
  }
  return last.toReversed();
}
