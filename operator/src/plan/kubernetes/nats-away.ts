import { REASONS } from './names.ts';
import { timestamp } from './objects.ts';
import type { Cause } from './types.ts';

/** Returns what a run says while the operator has no connection to NATS. */
export const natsAway = (since: Date): Cause => ({
  reason: REASONS.natsAway,
  message: `the operator does not reach NATS since ${timestamp(since)}, so modules cannot exchange samples; start the NATS server again, or correct the address that the operator was given`,
});
