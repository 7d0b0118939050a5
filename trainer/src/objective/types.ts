import type { Objective } from '@greedy-infomax/crds';
import type { Parameter } from '../model/layers/parameters.ts';
import type { Representation } from '../model/representation.ts';
import type { Weights } from '../step/function.ts';
import type { Tensor } from '../tf.ts';

/** A loss of one module: a function of its representation, with weights of its own. */
export interface ObjectiveBuilder {
  /** Returns the parameters for a context of `channels` and targets of `targetChannels`. Names start with `objective.`. */
  parameters(objective: Objective, channels: number, targetChannels: number): Parameter[];
  /** Returns the loss, a scalar. */
  loss(
    objective: Objective,
    weights: Weights,
    representation: Representation,
    batch: ObjectiveInput,
  ): Tensor;
  /** Fast variant of `loss`: the same value and gradients, up to rounding. A test holds the two together. */
  fastLoss?: ObjectiveBuilder['loss'];
}

export interface ObjectiveInput {
  /** Class of each sample: int32 [samples]. */
  labels: Tensor;
  draws: Draws;
}

/** Random numbers of one step. `stream`, 0 to 64, separates draws from each other. */
export interface Draws {
  /** int32 [shape], uniform in 0 .. max - 1. */
  ints(stream: number, shape: number[], max: number): Tensor;
  /** int32 [shape.., count]: distinct numbers of 0 .. max - 1 along the last axis, in random order. */
  distinct(stream: number, shape: number[], count: number, max: number): Tensor;
}
