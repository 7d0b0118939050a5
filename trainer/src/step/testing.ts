/** What tests of steps share. */

export const OPTIMIZER = {
  type: 'adam',
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
} as const;

/** Without a pattern: sums that cancel each other would leave rounding alone. */
export const withoutPattern = (n: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i * i + i));

/** The length of the difference by that of `b`. */
export const distance = (a: Float32Array, b: Float32Array): number =>
  Math.hypot(...a.map((x, i) => x - (b[i] as number))) / Math.hypot(...b);
