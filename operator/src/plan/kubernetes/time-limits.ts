import { millis } from './objects.ts';
import type { KubernetesRun } from './types.ts';

/** Milliseconds until a finished run is to be deleted, 0 or less: now; undefined: never. */
export function ttlLeft({ spec, status }: KubernetesRun, now: Date): number | undefined {
  const finished = millis(status?.completionTime);
  if (spec.ttlSecondsAfterFinished === undefined || finished === undefined) return undefined;
  return finished + spec.ttlSecondsAfterFinished * 1000 - now.getTime();
}
