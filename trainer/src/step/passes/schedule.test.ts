import { describe, expect, it } from 'vitest';
import { type Tensor, tf } from '../../tf.ts';
import { type RecordedOp, record } from '../recorder.ts';
import { beginGroup, beginGroupOnGradient, isOperation, scheduleDependencies } from './schedule.ts';

/** Returns the control dependencies of each op, by names of ops. */
function dependenciesIn(body: () => void): Record<string, string[]> {
  const { ops } = record(() => tf.tidy(body));
  const operations = ops.filter(isOperation);
  const makerOf = (id: number) =>
    operations.find(({ outputs }) => outputs.some((output) => output.id === id)) as RecordedOp;
  const named = (op: RecordedOp) => `${operations.indexOf(op)} ${op.op}`;
  return Object.fromEntries(
    [...scheduleDependencies(ops)].map(([op, ids]) => [
      named(op),
      ids.map((id) => named(makerOf(id))),
    ]),
  );
}

const vector = tf.tensor1d([1, 2, 3]);

describe('a group of ops', () => {
  it('waits for the group before', () => {
    const found = dependenciesIn(() => {
      for (let i = 0; i < 3; i += 1) {
        beginGroup(1);
        tf.mul(tf.square(vector), vector);
      }
    });
    expect(found).toEqual({ '2 Square': ['1 Mul'], '4 Square': ['3 Mul'] });
  });

  it('waits for the group before on its thread, where several run side by side', () => {
    const found = dependenciesIn(() => {
      for (let i = 0; i < 4; i += 1) {
        beginGroup(2);
        tf.square(vector);
      }
    });
    expect(found).toEqual({ '2 Square': ['0 Square'], '3 Square': ['1 Square'] });
  });

  it('waits for every result of the group before that others use', () => {
    const found = dependenciesIn(() => {
      beginGroup(1);
      const squares = tf.square(vector);
      tf.mul(squares, vector);
      tf.cumsum(squares);
      beginGroup(1);
      tf.square(vector);
    });
    expect(found).toEqual({ '3 Square': ['1 Mul', '2 Cumsum'] });
  });

  it('does not wait for ops that TensorFlow fuses', () => {
    const found = dependenciesIn(() => {
      beginGroup(1);
      tf.relu(tf.add(tf.square(vector), vector));
      beginGroup(1);
      tf.square(vector);
    });
    expect(found).toEqual({ '3 Square': ['0 Square'] });
  });

  it('starts with the gradient of a tensor', () => {
    const found = dependenciesIn(() => {
      const gradient = tf.grad((x: Tensor) => {
        const parts = [1, 2].map((n) => beginGroupOnGradient(tf.mul(x, tf.scalar(n)), 1));
        return tf.sum(tf.addN(parts));
      });
      gradient(vector);
    });
    expect(Object.keys(found)).toHaveLength(1);
    expect(Object.values(found)[0]).toEqual([expect.stringContaining('Mul')]);
  });
});

it('has no effect outside a recording', () => {
  beginGroup(1);
  expect([...beginGroupOnGradient(vector, 1).dataSync()]).toEqual([1, 2, 3]);
});
