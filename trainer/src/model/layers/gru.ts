import { type Tensor, type Tfjs, tf } from '../../tf.ts';
import type { LayerBuilder } from './layer.ts';

/**
 * Gated recurrent units along the rows, from a state of zeros, as PyTorch computes them: the reset gate multiplies the
 * product of the candidate's matrix and the state, not the state.
 *
 *     r, u = sigmoid(x Wi + bi + h Wh + bh)
 *     n    = tanh(x Wi + bi + r * (h Wh + bh))
 *     h'   = n + u * (h - n)
 */
export const gru: LayerBuilder = {
  parameters: ({ channels: units }, channelsIn, prefix) =>
    (
      [
        ['input.weight', [channelsIn, 3 * units]], // columns: reset gate, update gate, candidate
        ['input.bias', [3 * units]],
        ['hidden.weight', [units, 3 * units]],
        ['hidden.bias', [3 * units]],
      ] as const
    ).map(([name, shape]) => ({ name: `${prefix}.${name}`, shape, fanIn: units })),
  apply({ channels: units, bptt = true }, weights, prefix, x) {
    const [samples, steps, , channelsIn] = x.shape as [number, number, number, number];
    const of = (name: string) => weights[`${prefix}.${name}`] as Tensor;
    const rows = tf.reshape(tf.transpose(x, [1, 2, 0, 3]), [-1, channelsIn]) as Tfjs.Tensor2D;
    const gates = tf.add(tf.matMul(rows, of('input.weight') as Tfjs.Tensor2D), of('input.bias'));
    const states = recur(
      tf.reshape(gates, [steps, samples, 3 * units]),
      of('hidden.weight'),
      of('hidden.bias'),
      bptt,
    );
    return tf.expandDims(tf.transpose(states, [1, 0, 2]), 2); // [samples, steps, 1, units]
  },
};

/**
 * Returns all states [steps, samples, units] from the input's part of the gates, [steps, samples, 3 units]. The
 * gradient is written out: only the gradient of the state goes back step by step, the rest is computed for all steps
 * at once. Composed by tfjs it would take some 30 ops per step and a copy of the matrix's gradient for each.
 */
function recur(input: Tensor, weight: Tensor, bias: Tensor, bptt: boolean): Tensor {
  return tf.customGrad((x, w, b, save) => {
    const { states, kept } = forward(x as Tensor, w as Tensor, b as Tensor);
    (save as (tensors: Tensor[]) => void)([w as Tensor, ...kept]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [matrix, ...rest] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
      return backward(dy, matrix, rest, bptt);
    };
    return { value: states, gradFunc: gradFunc as (dy: Tensor, saved: Tensor[]) => Tensor[] };
  })(input, weight, bias);
}

/** Previous states, reset gates, update gates, candidates, and the state's part of candidates: all [steps, samples, units]. */
type Kept = [before: Tensor, r: Tensor, u: Tensor, n: Tensor, hn: Tensor];

function forward(input: Tensor, weight: Tensor, bias: Tensor): { states: Tensor; kept: Kept } {
  const [steps, samples, triple] = input.shape as [number, number, number];
  const units = triple / 3;
  const [xGates, xCandidate] = tf.split(input, [2 * units, units], 2) as [Tensor, Tensor];
  const gatesOf = tf.unstack(xGates);
  const candidateOf = tf.unstack(xCandidate);
  let h: Tensor = tf.zeros([samples, units]);
  const all: Tensor[][] = Array.from({ length: 6 }, () => []);
  for (let t = 0; t < steps; t += 1) {
    const fromState = tf.add(tf.matMul(h as Tfjs.Tensor2D, weight as Tfjs.Tensor2D), bias);
    const [hGates, hn] = tf.split(fromState, [2 * units, units], 1) as [Tensor, Tensor];
    const gates = tf.sigmoid(tf.add(gatesOf[t] as Tensor, hGates));
    const [r, u] = tf.split(gates, 2, 1) as [Tensor, Tensor];
    const n = tf.tanh(tf.add(candidateOf[t] as Tensor, tf.mul(r, hn)));
    const next = tf.add(n, tf.mul(u, tf.sub(h, n)));
    for (const [i, tensor] of [h, r, u, n, hn, next].entries()) all[i]?.push(tensor);
    h = next;
  }
  const [before, r, u, n, hn, states] = all.map((tensors) => tf.stack(tensors));
  return { states: states as Tensor, kept: [before, r, u, n, hn] as Kept };
}

/** Returns the gradients of the input's part of the gates, of the matrix and of the bias. */
function backward(
  dy: Tensor, // [steps, samples, units]
  weight: Tensor,
  [before, r, u, n, hn]: Kept | Tensor[],
  bptt: boolean,
): Tensor[] {
  const [h, reset, update, candidate, part] = [before, r, u, n, hn] as Kept;
  const one = tf.scalar(1);
  // Derivatives of a state by each of its inputs.
  const atCandidate = tf.mul(tf.sub(one, update), tf.sub(one, tf.square(candidate)));
  const atUpdate = tf.mul(tf.sub(h, candidate), tf.mul(update, tf.sub(one, update)));
  const atReset = tf.mul(atCandidate, tf.mul(part, tf.mul(reset, tf.sub(one, reset))));
  const factors = tf.concat([atReset, atUpdate, tf.mul(atCandidate, reset)], 2); // [steps, samples, 3 units]
  const dh = bptt ? throughTime(dy, weight, factors, update) : dy;
  const dState = tf.mul(tf.tile(dh, [1, 1, 3]), factors);
  const dInput = tf.mul(tf.tile(dh, [1, 1, 3]), tf.concat([atReset, atUpdate, atCandidate], 2));
  const flat = (x: Tensor) => tf.reshape(x, [-1, x.shape[2] as number]) as Tfjs.Tensor2D;
  return [dInput, tf.matMul(flat(h), flat(dState), true, false), tf.sum(flat(dState), 0)];
}

/** Returns the gradient of every state: its own plus the gradient from the later states. */
function throughTime(dy: Tensor, weight: Tensor, factors: Tensor, update: Tensor): Tensor {
  const own = tf.unstack(dy);
  const [factorsOf, updateOf] = [tf.unstack(factors), tf.unstack(update)];
  const all: Tensor[] = [];
  let back: Tensor | null = null;
  for (let t = own.length - 1; t >= 0; t -= 1) {
    const dh: Tensor = back ? tf.add(own[t] as Tensor, back) : (own[t] as Tensor);
    const dState = tf.mul(tf.tile(dh, [1, 3]), factorsOf[t] as Tensor);
    back = tf.add(
      tf.mul(dh, updateOf[t] as Tensor),
      tf.matMul(dState as Tfjs.Tensor2D, weight as Tfjs.Tensor2D, false, true),
    );
    all.unshift(dh);
  }
  return tf.stack(all);
}
