import type { ModuleConfig, Precision } from '@greedy-infomax/crds';
import { multipliesBfloat16 } from '../step/passes/bfloat16.ts';

/** The precision that a module's steps have: what it asks for, where the machine has it. */
export const precisionOf = ({ precision }: ModuleConfig): Precision =>
  precision === 'bfloat16' && !multipliesBfloat16() ? 'float32' : precision;
