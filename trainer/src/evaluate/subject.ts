import type { ModuleConfig } from '@greedy-infomax/crds';
import type { WeightValue } from '../step/function.ts';
import type { LabelledFeatures } from './readout.ts';

/** What is read out: one question to the features of a module. */
export interface Question {
  name: 'class' | 'speaker' | 'phone';
  classes: number;
  /** Rows of features that one sample has. */
  rows: number;
}

export type ModelWeights = ReadonlyMap<string, Readonly<Record<string, WeightValue>>>;

/** A data set as readouts see it. */
export interface Subject {
  /** The first is the one that a run's status shows. */
  questions: readonly Question[];
  /** Features of every module under `weights`, for each question by its name, then by module. */
  features(
    modules: readonly ModuleConfig[],
    weights: ModelWeights,
    split: 'labelled' | 'test',
  ): Promise<Map<string, Map<string, LabelledFeatures>>>;
}
