import { type Precision, precisionSchema } from '@greedy-infomax/crds';
import { multipliesBfloat16 } from '../trainer/src/step/passes/bfloat16.ts';

/** Loads TensorFlow: what it reads from the environment must be there before. */

/** Those of an option such as `float32,bfloat16`; without it float32, and bfloat16 where the machine multiplies it itself. */
export const precisionsOf = (option: string | undefined): Precision[] =>
  option?.split(',').map((name) => precisionSchema.parse(name)) ?? [
    'float32',
    ...(multipliesBfloat16() ? (['bfloat16'] as const) : []),
  ];

/** The name of a measurement; float32 goes without saying. */
export const inPrecision = (name: string, precision: Precision): string =>
  precision === 'float32' ? name : `${name}, ${precision}`;
