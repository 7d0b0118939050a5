import { z } from 'zod';

/** Messages between trainers and operator over NATS: reports, about one each second, and control messages. */

const percentiles = z.strictObject({ p50: z.number(), p95: z.number() });

const count = z.int().min(0);

/** Number of samples by replica, from 0 to 999. */
const samplesByReplica = z.record(z.string().regex(/^(0|[1-9]\d{0,2})$/), count);

export const reportSchema = z.strictObject({
  run: z.string().max(64),
  module: z.string().max(40),
  replica: z.int().min(0).max(999),
  /** starting: before the first step. forwarding: the budget is spent, but later modules still need output. */
  phase: z.enum(['starting', 'training', 'forwarding', 'finished', 'failed']),
  step: count,
  samplesTrained: count,
  samplesTotal: count,
  /** Mean loss of the last steps, at most 100; null before the first step. */
  loss: z.number().nullable(),
  /** Mean loss of the first 10 steps. */
  lossFirst: z.number().nullable(),
  /** Samples trained per second, over the last seconds. */
  samplesPerSecond: z.number().min(0),
  /** Optimizer steps of the producer since it computed the samples used; null for module 0. */
  stalenessSteps: percentiles.nullable(),
  /** Age in seconds of the samples used; null for module 0. */
  stalenessSeconds: percentiles.nullable(),
  /** Number of samples that reached or should have reached the module and were never used. */
  samplesDropped: count,
  /** Number of uses of samples after their first use. */
  samplesReused: count,
  /** Peak resident memory of the trainer in bytes; the maximum of several trainers. */
  memoryBytes: count.optional(),
  /** Step of the newest checkpoint; null before the first. */
  checkpointStep: count.nullable(),
  /** Last known number of samples of all other replicas, including those that no longer exist. */
  others: samplesByReplica.optional(),
  /** Human-readable error, if there is one. */
  message: z.string().max(1024).optional(),
  /** Milliseconds since the epoch, at most the largest date. */
  at: z.number().min(0).max(8.64e15),
});
export type Report = z.infer<typeof reportSchema>;

export const controlSchema = z.strictObject({
  /** Modules that may end, because all later modules have spent their budget. */
  released: z.array(z.string()),
  /** Desired replicas of each module, and the number of samples of each replica that ever existed. */
  modules: z
    .record(z.string(), z.strictObject({ replicas: z.int(), samples: samplesByReplica }))
    .optional(),
});
export type ModuleControl = NonNullable<Control['modules']>[string];
export type Control = z.infer<typeof controlSchema>;
