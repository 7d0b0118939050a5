import type { StreamPlan } from '../../plan/run.ts';

/** What the tests of streams share. */

/** A stream of four samples, which one consumer reads. */
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
