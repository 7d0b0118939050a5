import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../operator/src/report/run-files.ts';

const recordSchema = z.object({
  reports: z.array(z.object({ module: z.string(), samplesTrained: z.number() })),
});

/** Returns the samples that each module has trained on, from the run folder. */
export function runRecordSamples(out: string): number[] {
  const record = readJson(join(out, 'run.json'), recordSchema);
  return (record?.reports ?? []).map(({ samplesTrained }) => samplesTrained);
}
