import { z } from 'zod';

/**
 * Result of an evaluation, as the process that trains the linear probes hands it over: in a pod as
 * the termination message of its container, which holds 4096 bytes.
 */

const fraction = z.number().min(0).max(1);

export const evaluationResultSchema = z.strictObject({
  /** Samples that the module least trained had trained on when its checkpoint was written. */
  samples: z.int().min(0),
  /** By module: accuracy of the linear probe on the trained module and on the untrained one. */
  modules: z.record(z.string(), z.tuple([fraction, fraction])),
});
export type EvaluationResult = z.infer<typeof evaluationResultSchema>;

/** Four digits of each fraction: finer than one image in ten thousand. */
export const encodeEvaluationResult = ({ samples, modules }: EvaluationResult): string =>
  JSON.stringify({
    samples,
    modules: Object.fromEntries(
      Object.entries(modules).map(([name, values]) => [
        name,
        values.map((value) => Number(value.toFixed(4))),
      ]),
    ),
  });

/** Null for a text that is none. */
export function decodeEvaluationResult(text: string | undefined): EvaluationResult | null {
  try {
    return evaluationResultSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}
