import { REASONS } from './names.ts';

/** Severity of a cause that blocks a trainer. */

/** Passes within seconds and needs no attention. */
const PASSING: ReadonlySet<string> = new Set([
  REASONS.noPods,
  REASONS.replacing,
  REASONS.scaledToZero,
  REASONS.turn,
  REASONS.pulling,
  'ContainerCreating',
  'PodInitializing',
  'PodPending',
]);

/** Takes its time, but nothing is wrong. */
const WAITING: ReadonlySet<string> = new Set([REASONS.queued, 'SchedulingGated']);

/** Follows a failure, which has an event of its own. */
const AFTER_FAILURE: ReadonlySet<string> = new Set([
  REASONS.restarting,
  REASONS.failing,
  REASONS.trainerFailed,
]);

/** Returns the type of the event for a cause; undefined: it gets none. */
export function eventType(reason: string): 'Normal' | 'Warning' | undefined {
  if (PASSING.has(reason) || AFTER_FAILURE.has(reason)) return undefined;
  return WAITING.has(reason) ? 'Normal' : 'Warning';
}

/** Reports whether a trainer has just failed, so that its failure is the reason. */
export const isAfterFailure = (reason: string): boolean => AFTER_FAILURE.has(reason);

/** Reports whether a cause needs attention. */
export const isTrouble = (reason: string | undefined): boolean =>
  reason !== undefined && !PASSING.has(reason) && !WAITING.has(reason);
