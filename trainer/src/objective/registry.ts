import type { Objective } from '@greedy-infomax/crds';
import { classLabels } from './class-labels.ts';
import { deepInfoMax } from './deep-info-max.ts';
import { infoNCE } from './info-nce.ts';
import { predSim } from './pred-sim.ts';
import type { ObjectiveBuilder } from './types.ts';

/** Objectives by type. To add one: a row here, a file in this folder, and its fields in crds. */
export const OBJECTIVES: Record<Objective['type'], ObjectiveBuilder> = {
  infoNCE,
  classLabels,
  predSim,
  deepInfoMax,
};
