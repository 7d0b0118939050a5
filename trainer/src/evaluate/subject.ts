import type { ModuleConfig } from '@greedy-infomax/crds';
import type { WeightValue } from '../step/function.ts';
import type { LabelledFeatures } from './linear-probe.ts';

/** A label that a linear probe predicts from the features of a module. */
export interface Question {
  name: 'class' | 'speaker' | 'phone';
  classes: number;
  /** Number of rows of features per sample. */
  rows: number;
}

export type ModelWeights = ReadonlyMap<string, Readonly<Record<string, WeightValue>>>;

/** A data set for linear probes. */
export interface Subject {
  /** Questions; the status of a run shows the first. */
  questions: readonly Question[];
  /** Returns the features of every module with `weights`, for each question by its name, then by module. */
  features(
    modules: readonly ModuleConfig[],
    weights: ModelWeights,
    split: 'labelled' | 'test',
  ): Promise<Map<string, Map<string, LabelledFeatures>>>;
}
