import { z } from 'zod';

/** What a trainer reports over NATS about once a second, and what the operator tells trainers. */

const percentiles = z.strictObject({ p50: z.number(), p95: z.number() });

export const reportSchema = z.strictObject({
  run: z.string(),
  module: z.string(),
  replica: z.int(),
  /** starting: not yet at its first step. forwarding: budget spent, still feeding later modules. */
  phase: z.enum(['starting', 'training', 'forwarding', 'finished', 'failed']),
  step: z.int(),
  samplesTrained: z.int(),
  samplesTotal: z.int(),
  /** Mean of the last steps (at most 100); null before the first. */
  loss: z.number().nullable(),
  /** Mean of the first 10 steps. */
  lossFirst: z.number().nullable(),
  /** Samples trained a second over the last seconds. */
  samplesPerSecond: z.number(),
  /** Optimizer steps the producer had made since it computed the samples that were used; null for module 0. */
  stalenessSteps: percentiles.nullable(),
  /** Age in seconds of the samples that were used; null for module 0. */
  stalenessSeconds: percentiles.nullable(),
  /** Samples that arrived or should have arrived at this module and were never used. */
  samplesDropped: z.int(),
  /** Uses of a sample after its first. */
  samplesReused: z.int(),
  /** Step of the newest checkpoint; null before the first. */
  checkpointStep: z.int().nullable(),
  /** What went wrong, if anything, in words for the user. */
  message: z.string().max(1024).optional(),
  /** Milliseconds since the epoch. */
  at: z.number(),
});
export type Report = z.infer<typeof reportSchema>;

export const controlSchema = z.strictObject({
  /** Modules that may end: every later module has spent its budget. */
  released: z.array(z.string()),
});
export type Control = z.infer<typeof controlSchema>;
