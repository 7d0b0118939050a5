import type { Objective } from '@greedy-infomax/crds';
import type { Parameter } from '../model/layers/parameters.ts';
import type { Weights } from '../step/function.ts';
import type { Tensor } from '../tf.ts';
import { classLabels } from './class-labels.ts';
import { deepInfoMax } from './deep-info-max.ts';
import { infoNCE } from './info-nce.ts';
import { predSim } from './pred-sim.ts';

/** What a module optimises: a function of its representation, with weights of its own. */
export interface ObjectiveBuilder {
  /** For a representation of `channels` and targets of `targetChannels`. Names start with `objective.`. */
  parameters(objective: Objective, channels: number, targetChannels: number): Parameter[];
  /** The loss, a scalar. */
  loss(
    objective: Objective,
    weights: Weights,
    representation: Representation,
    batch: ObjectiveInput,
  ): Tensor;
}

/** What an objective sees of a module: the pooled patches of images, or the steps of a sequence. */
export interface Representation {
  /** [samples, rows, cols, channels]: what all layers make of the input. */
  context: Tensor;
  /** [samples, rows, cols, target channels]: what is to be predicted; the same tensor but for a module with a gru layer. */
  target: Tensor;
}

export interface ObjectiveInput {
  /** int32 [samples]. */
  labels: Tensor;
  draws: Draws;
}

/** Random numbers of a step. `stream`, 0 to 64, tells draws apart. */
export interface Draws {
  /** int32 [shape], uniform in 0 .. max - 1. */
  ints(stream: number, shape: number[], max: number): Tensor;
  /** int32 [shape.., count]: along the last axis different numbers of 0 .. max - 1, in random order. */
  distinct(stream: number, shape: number[], count: number, max: number): Tensor;
}

/** An objective is one row here, one file in this folder, and its fields in crds. */
export const OBJECTIVES: Record<Objective['type'], ObjectiveBuilder> = {
  infoNCE,
  classLabels,
  predSim,
  deepInfoMax,
};
