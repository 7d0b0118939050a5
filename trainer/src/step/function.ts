import type { Tensor } from '../tf.ts';

/** Types of a step before it is compiled. */

export interface TensorSpec {
  shape: readonly number[];
  dtype: 'float32' | 'int32' | 'uint8';
}

export type Weights = Readonly<Record<string, Tensor>>;

/** One function of a program, written in tfjs. */
export interface StepFunction {
  inputs: Readonly<Record<string, TensorSpec>>;
  /** Must be pure: the same ops for all values; random numbers come from `randomInts` with a seed that is an input. */
  build(inputs: Record<string, Tensor>, weights: Weights): Record<string, Tensor>;
  /** Scalar output that a run of this function minimises by one step of Adam. */
  minimise?: string;
}

export interface WeightValue {
  shape: readonly number[];
  values: Float32Array;
}

/** Number of values of a shape. */
export const size = (shape: readonly number[]): number =>
  shape.reduce((product, n) => product * n, 1);

/** Splits `count` into `parts` sizes that differ by at most one. */
export function evenParts(count: number, parts: number): number[] {
  const begin = (part: number) => Math.floor((part * count) / parts);
  return Array.from({ length: parts }, (_, part) => begin(part + 1) - begin(part));
}
