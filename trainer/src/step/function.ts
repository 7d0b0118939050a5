import type { Tensor } from '../tf.ts';

/** What a step is made of, before it is compiled. */

export interface TensorSpec {
  shape: readonly number[];
  dtype: 'float32' | 'int32' | 'uint8';
}

export type Weights = Readonly<Record<string, Tensor>>;

/** One function of a program, written in tfjs. */
export interface StepFunction {
  inputs: Readonly<Record<string, TensorSpec>>;
  /** Must be pure: the same operations whatever the values; random numbers from `randomInts` with a fed seed. */
  build(inputs: Record<string, Tensor>, weights: Weights): Record<string, Tensor>;
  /** The output, a scalar, that a run of this function minimises by one step of Adam. */
  minimise?: string;
}

export interface WeightValue {
  shape: readonly number[];
  values: Float32Array;
}

/** Number of values of a shape. */
export const size = (shape: readonly number[]): number =>
  shape.reduce((product, n) => product * n, 1);

/** Sizes of `parts` that make up `count`, of which no two differ by more than one. */
export function evenParts(count: number, parts: number): number[] {
  const begin = (part: number) => Math.floor((part * count) / parts);
  return Array.from({ length: parts }, (_, part) => begin(part + 1) - begin(part));
}
