import type { ModuleConfig } from '@greedy-infomax/crds';
import type { WeightValue } from '../step/function.ts';
import type { LabelledFeatures } from './linear-probe.ts';

/** One question to the features of a module, answered by a linear probe. */
export interface Question {
  name: 'class' | 'speaker' | 'phone';
  classes: number;
  /** Rows of features that one sample has. */
  rows: number;
}

export type ModelWeights = ReadonlyMap<string, Readonly<Record<string, WeightValue>>>;

/** A data set as linear probes see it. */
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
