import { type Precision, precisionSchema } from '@greedy-infomax/crds';
import { multipliesBfloat16 } from '../trainer/src/step/passes/bfloat16.ts';

/** Loads TensorFlow, so environment variables for it must be set before. */

/**
 * Parses an option such as `float32,bfloat16`; the default is float32, and bfloat16 if the machine
 * multiplies it natively.
 */
export const precisionsOf = (option: string | undefined): Precision[] =>
  option?.split(',').map((name) => precisionSchema.parse(name)) ?? [
    'float32',
    ...(multipliesBfloat16() ? (['bfloat16'] as const) : []),
  ];

/** Name of a measurement; float32 is omitted. */
export const inPrecision = (name: string, precision: Precision): string =>
  precision === 'float32' ? name : `${name}, ${precision}`;
