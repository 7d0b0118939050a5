import type { Averaging } from '@greedy-infomax/crds';

/**
 * How a trainer's weights change when it has heard of the others'. Each rule gets the mean over itself and the
 * others, and has the state of one trainer; all arrays hold the same weights in the same order.
 */

export interface Rule {
  /** The weights to go on with. May keep `mean`, which is the caller's no more. */
  next(own: Float32Array, mean: Float32Array): Float32Array;
}

/** `start`: the weights that the trainer began with. */
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
 * The way from where the last round ended to the mean is taken for a gradient (Douillard et al. 2023): a step
 * of SGD with Nesterov momentum along it.
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

/** The mean of arrays of one length. */
export function meanOf(all: readonly Float32Array[]): Float32Array {
  const [first, ...others] = all;
  if (first === undefined) throw new RangeError('the mean of no weights');
  const mean = Float32Array.from(first);
  for (const other of others)
    for (let i = 0; i < mean.length; i += 1) mean[i] = at(mean, i) + at(other, i);
  return mean.map((sum) => sum / all.length);
}

const at = (values: Float32Array, i: number): number => values[i] as number;
