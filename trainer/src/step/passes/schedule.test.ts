import { describe, expect, it } from 'vitest';
import { type Tensor, tf } from '../../tf.ts';
import { type RecordedOp, record } from '../recorder.ts';
import { beginTurn, isOperation, turnBack, waits } from './schedule.ts';

/** What waits for what, by names of operations. */
function waitsIn(body: () => void): Record<string, string[]> {
  const { ops } = record(() => tf.tidy(body));
  const operations = ops.filter(isOperation);
  const makerOf = (id: number) =>
    operations.find(({ outputs }) => outputs.some((output) => output.id === id)) as RecordedOp;
  const named = (op: RecordedOp) => `${operations.indexOf(op)} ${op.op}`;
  return Object.fromEntries(
    [...waits(ops)].map(([op, ids]) => [named(op), ids.map((id) => named(makerOf(id)))]),
  );
}

const vector = tf.tensor1d([1, 2, 3]);

describe('a turn', () => {
  it('waits for the one before', () => {
    const found = waitsIn(() => {
      for (let i = 0; i < 3; i += 1) {
        beginTurn(1);
        tf.mul(tf.square(vector), vector);
      }
    });
    expect(found).toEqual({ '2 Square': ['1 Mul'], '4 Square': ['3 Mul'] });
  });

  it('waits for the one that had its thread before, where several run side by side', () => {
    const found = waitsIn(() => {
      for (let i = 0; i < 4; i += 1) {
        beginTurn(2);
        tf.square(vector);
      }
    });
    expect(found).toEqual({ '2 Square': ['0 Square'], '3 Square': ['1 Square'] });
  });

  it('waits for all that the one before has made for others', () => {
    const found = waitsIn(() => {
      beginTurn(1);
      const squares = tf.square(vector);
      tf.mul(squares, vector);
      tf.cumsum(squares);
      beginTurn(1);
      tf.square(vector);
    });
    expect(found).toEqual({ '3 Square': ['1 Mul', '2 Cumsum'] });
  });

  it('waits for nothing that TensorFlow takes together with what is before it', () => {
    const found = waitsIn(() => {
      beginTurn(1);
      tf.relu(tf.add(tf.square(vector), vector));
      beginTurn(1);
      tf.square(vector);
    });
    expect(found).toEqual({ '3 Square': ['0 Square'] });
  });

  it('begins with the gradient of what it is asked for', () => {
    const found = waitsIn(() => {
      const gradient = tf.grad((x: Tensor) => {
        const parts = [1, 2].map((n) => turnBack(tf.mul(x, tf.scalar(n)), 1));
        return tf.sum(tf.addN(parts));
      });
      gradient(vector);
    });
    expect(Object.keys(found)).toHaveLength(1);
    expect(Object.values(found)[0]).toEqual([expect.stringContaining('Mul')]);
  });
});

it('is nothing where nothing is recorded', () => {
  beginTurn(1);
  expect([...turnBack(vector, 1).dataSync()]).toEqual([1, 2, 3]);
});
