import { z } from 'zod';

/** What a trainer reports over NATS about once a second, and what the operator tells trainers. */

const percentiles = z.strictObject({ p50: z.number(), p95: z.number() });

const count = z.int().min(0);

/** Samples by the number of the replica, from 0 to 999. */
const samplesByReplica = z.record(z.string().regex(/^(0|[1-9]\d{0,2})$/), count);

export const reportSchema = z.strictObject({
  run: z.string().max(64),
  module: z.string().max(40),
  replica: z.int().min(0).max(999),
  /** starting: not yet at its first step. forwarding: budget spent, still feeding later modules. */
  phase: z.enum(['starting', 'training', 'forwarding', 'finished', 'failed']),
  step: count,
  samplesTrained: count,
  samplesTotal: count,
  /** Mean of the last steps (at most 100); null before the first. */
  loss: z.number().nullable(),
  /** Mean of the first 10 steps. */
  lossFirst: z.number().nullable(),
  /** Samples trained a second over the last seconds. */
  samplesPerSecond: z.number().min(0),
  /** Optimizer steps the producer had made since it computed the samples that were used; null for module 0. */
  stalenessSteps: percentiles.nullable(),
  /** Age in seconds of the samples that were used; null for module 0. */
  stalenessSeconds: percentiles.nullable(),
  /** Samples that arrived or should have arrived at this module and were never used. */
  samplesDropped: count,
  /** Uses of a sample after its first. */
  samplesReused: count,
  /** The most memory that the trainer's process has had, resident, in bytes; of several trainers the largest. */
  memoryBytes: count.optional(),
  /** Step of the newest checkpoint; null before the first. */
  checkpointStep: count.nullable(),
  /** Samples that the module's other trainers were last known to have trained on, by replica; also those that have left. */
  others: samplesByReplica.optional(),
  /** What went wrong, if anything, in words for the user. */
  message: z.string().max(1024).optional(),
  /** Milliseconds since the epoch; at most what a date can be. */
  at: z.number().min(0).max(8.64e15),
});
export type Report = z.infer<typeof reportSchema>;

export const controlSchema = z.strictObject({
  /** Modules that may end: every later module has spent its budget. */
  released: z.array(z.string()),
  /** Of each module: the trainers that there should be, and the samples that each there ever was has trained on. */
  modules: z
    .record(z.string(), z.strictObject({ replicas: z.int(), samples: samplesByReplica }))
    .optional(),
});
export type ModuleControl = NonNullable<Control['modules']>[string];
export type Control = z.infer<typeof controlSchema>;
