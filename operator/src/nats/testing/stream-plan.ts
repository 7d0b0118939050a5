import type { StreamPlan } from '../../plan/run.ts';

/** Test data shared by the tests of streams. */

/** Returns the plan of a stream of four samples that one consumer reads. */
export const streamPlan = (name: string, changes: Partial<StreamPlan> = {}): StreamPlan => ({
  name,
  subject: `gim.local.test.edge.${name}`,
  whenFull: 'dropOldest',
  depth: 4,
  sampleBytes: 100,
  maxBytes: 10_000,
  maxMessages: 4,
  maxMessageBytes: 1000,
  consumer: { name: 'next', ackWaitSeconds: 30, maxAckPending: 16 },
  ...changes,
});
