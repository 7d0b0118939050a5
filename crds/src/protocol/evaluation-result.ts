import { z } from 'zod';

/**
 * What linear readouts found, as the process that trained them leaves it to whoever started it: in a pod as
 * the termination message of its container, which holds 4096 bytes.
 */

const fraction = z.number().min(0).max(1);

export const readoutResultSchema = z.strictObject({
  /** Samples that the module least trained had trained on when its checkpoint was written. */
  samples: z.int().min(0),
  /** By module: accuracy of the readout, and the same with the weights that training began with. */
  modules: z.record(z.string(), z.tuple([fraction, fraction])),
});
export type ReadoutResult = z.infer<typeof readoutResultSchema>;

/** Four digits of each fraction: finer than one image in ten thousand. */
export const encodeReadoutResult = ({ samples, modules }: ReadoutResult): string =>
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
export function decodeReadoutResult(text: string | undefined): ReadoutResult | null {
  try {
    return readoutResultSchema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}
