import type { Optimizer } from '@greedy-infomax/crds';
import { ATTR, DT } from '../tf.ts';
import { type GraphBuilder, typeAttr } from './graph.ts';
import { addInput } from './int32-transport.ts';

/** Adam (Kingma & Ba 2015, algorithm 1) as TensorFlow's ResourceApplyAdam: one op per variable. */

/** Scalars that change from step to step; fed to the graph. */
export const ADAM_SCALARS = ['learningRate', 'beta1Power', 'beta2Power', 'epsilon'] as const;
export type AdamScalars = Record<(typeof ADAM_SCALARS)[number], number>;

/** Nodes of all scalars. */
export type AdamNodes = Record<keyof AdamScalars | 'beta1' | 'beta2', string>;

/** Placeholder of the scalars that change, as one vector. */
export const ADAM_INPUT = 'optimizer/scalars';

/** Adds the placeholder, and the nodes of all scalars. */
export function addAdamScalars(graph: GraphBuilder, { beta1, beta2 }: Optimizer): AdamNodes {
  const count = ADAM_SCALARS.length;
  const fed = addInput(graph, ADAM_INPUT, { shape: [count], dtype: 'float32' });
  const each = graph.node(
    'optimizer/each',
    'Unpack',
    [fed],
    [
      typeAttr('T', DT.float32),
      { name: 'num', type: ATTR.int, value: count },
      { name: 'axis', type: ATTR.int, value: 0 },
    ],
  );
  return {
    ...(Object.fromEntries(ADAM_SCALARS.map((name, i) => [name, `${each}:${i}`])) as Record<
      keyof AdamScalars,
      string
    >),
    beta1: graph.scalar('optimizer/beta1', beta1),
    beta2: graph.scalar('optimizer/beta2', beta2),
  };
}

/**
 * Returns the scalars of step `t`, counted from 1. ResourceApplyAdam adds its epsilon to sqrt(v), while the
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
  scalars: AdamNodes,
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
