import type { Optimizer } from '@greedy-infomax/crds';
import { DT } from '../tf.ts';
import { type GraphBuilder, typeAttr } from './graph.ts';

/**
 * Adam (Kingma & Ba 2015, algorithm 1) as TensorFlow's ResourceApplyAdam: one operation a variable.
 */

/** Scalars that change from step to step; fed to the graph. */
export const ADAM_SCALARS = ['learningRate', 'beta1Power', 'beta2Power', 'epsilon'] as const;
export type AdamScalars = Record<(typeof ADAM_SCALARS)[number], number>;

/**
 * Their values at step `t`, counted from 1. ResourceApplyAdam adds its epsilon to sqrt(v), while the
 * paper's algorithm adds it to sqrt(v / (1 - beta2^t)): so it is given epsilon * sqrt(1 - beta2^t).
 */
export function adamScalars(
  { learningRate, beta1, beta2, epsilon }: Optimizer,
  t: number,
): AdamScalars {
  const beta2Power = beta2 ** t;
  return {
    learningRate,
    beta1Power: beta1 ** t,
    beta2Power,
    epsilon: epsilon * Math.sqrt(1 - beta2Power),
  };
}

/** Adds the node that updates `variable` and its moments `m` and `v` by `gradient`; returns its name. */
export function applyAdam(
  graph: GraphBuilder,
  name: string,
  nodes: { variable: string; m: string; v: string; gradient: string },
  scalars: Record<keyof AdamScalars | 'beta1' | 'beta2', string>,
): string {
  return graph.node(
    name,
    'ResourceApplyAdam',
    [
      nodes.variable,
      nodes.m,
      nodes.v,
      scalars.beta1Power,
      scalars.beta2Power,
      scalars.learningRate,
      scalars.beta1,
      scalars.beta2,
      scalars.epsilon,
      nodes.gradient,
    ],
    [typeAttr('T', DT.float32)],
  );
}
