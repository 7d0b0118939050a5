import type { Averaging } from '@greedy-infomax/crds';

/**
 * Rules of weight averaging: how a trainer's weights change when it receives those of its peers. A rule keeps the state of
 * one trainer; all arrays have the same weights in the same order.
 */

export interface Rule {
  /** Returns the new weights from the trainer's own and the mean with its peers. May keep `mean`. */
  next(own: Float32Array, mean: Float32Array): Float32Array;
}

/** Creates the rule of `averaging`. `start`: the trainer's initial weights. */
export function openRule(averaging: Averaging, start: Float32Array): Rule {
  switch (averaging.rule) {
    case 'average':
      return { next: (_, mean) => mean };
    case 'elastic':
      return {
        next: (own, mean) => mean.map((x, i) => x + (1 - averaging.pull) * (at(own, i) - x)),
      };
    case 'diloco':
      return diloco(averaging, start);
  }
}

/**
 * DiLoCo (Douillard et al. 2023): takes the difference between the weights after the last round and the mean as a gradient
 * for a step of SGD with Nesterov momentum.
 */
function diloco({ outerLearningRate, outerMomentum }: Averaging, start: Float32Array): Rule {
  let anchor = start.slice();
  const momentum = new Float32Array(start.length);
  return {
    next(_, mean) {
      anchor = anchor.map((from, i) => {
        const gradient = from - at(mean, i);
        const m = outerMomentum * at(momentum, i) + gradient;
        momentum[i] = m;
        return from - outerLearningRate * (gradient + outerMomentum * m);
      });
      return anchor.slice();
    },
  };
}

/** Returns the mean of arrays of the same length. */
export function meanOf(all: readonly Float32Array[]): Float32Array {
  const [first, ...others] = all;
  if (first === undefined) throw new RangeError('the mean of no weights');
  const mean = Float32Array.from(first);
  for (const other of others)
    for (let i = 0; i < mean.length; i += 1) mean[i] = at(mean, i) + at(other, i);
  return mean.map((sum) => sum / all.length);
}

const at = (values: Float32Array, i: number): number => values[i] as number;
