import type { Objective } from '@greedy-infomax/crds';
import type { Parameter } from '../model/layers/parameters.ts';
import type { Weights } from '../step/function.ts';
import type { Tensor } from '../tf.ts';
import { classLabels } from './class-labels.ts';
import { infoNCE } from './info-nce.ts';

/** What a module optimises: a function of its representation, with weights of its own. */
export interface ObjectiveBuilder {
  /** Names start with `objective.`. */
  parameters(objective: Objective, channels: number): Parameter[];
  /**
   * The loss, a scalar.
   * @param representation [samples, grid rows, grid cols, channels]: the pooled patches.
   */
  loss(
    objective: Objective,
    weights: Weights,
    representation: Tensor,
    batch: ObjectiveInput,
  ): Tensor;
}

export interface ObjectiveInput {
  /** int32 [samples]. */
  labels: Tensor;
  /** Indices of negatives: int32 [anchors, count], uniform with replacement in 0 .. pool - 1; `k` tells draws apart. */
  draw(k: number, anchors: number, count: number, pool: number): Tensor;
}

/** An objective is one row here, one file in this folder, and its fields in crds. */
export const OBJECTIVES: Record<Objective['type'], ObjectiveBuilder> = { infoNCE, classLabels };
