import { conditionOf, type NewCondition } from './conditions.ts';
import { REASONS } from './names.ts';
import { isAfterFailure, isTrouble } from './severity.ts';
import type { Cause, KubernetesRun, ModuleRow, Phase } from './types.ts';

/** The conditions of a run that goes on. */

/** Ready trainers of those wanted, such as 2/3. */
export function readyOf(rows: readonly ModuleRow[]): { ready: string } {
  const count = (of: 'readyReplicas' | 'replicas') => rows.reduce((n, row) => n + row[of], 0);
  return { ready: `${count('readyReplicas')}/${count('replicas')}` };
}

/** Returns the Ready condition: true while every wanted trainer is ready. */
export function ready(rows: readonly ModuleRow[]): NewCondition {
  const { ready } = readyOf(rows);
  const missing = rows.filter((row) => row.readyReplicas < row.replicas);
  const none = rows.every((row) => row.replicas === 0);
  return missing.length === 0 && !none
    ? { type: 'Ready', status: true, reason: REASONS.ready, message: `${ready} trainers are ready` }
    : {
        type: 'Ready',
        status: false,
        reason: REASONS.notReady,
        message: `${ready} trainers are ready${missing.length > 0 ? `; not all of ${missing.map(({ name }) => name).join(', ')}` : ''}`,
      };
}

export const NOT_DEGRADED = {
  type: 'Degraded',
  status: false,
  reason: REASONS.healthy,
  message: 'nothing needs attention',
} as const;

/** Names the modules that need attention; the words stand in their rows and in Progressing. */
export function degraded(rows: readonly ModuleRow[]): NewCondition {
  const [first, ...others] = rows.filter(({ reason }) => isTrouble(reason));
  if (!first) return NOT_DEGRADED;
  const names = [first, ...others].map(({ name }) => name).join(', ');
  const { reason = first.phase, lastFailure } = first;
  const isFailing = lastFailure && isAfterFailure(reason);
  return {
    type: 'Degraded',
    status: true,
    reason: isFailing ? lastFailure.reason : reason,
    message: `${others.length > 0 ? 'modules' : 'module'} ${names}: see their message and lastFailure`,
  };
}

/** Only for a run whose operator has lost NATS once. */
export function natsReachable(run: KubernetesRun, nats: Cause | undefined): NewCondition[] {
  const type = 'NATSReachable';
  if (nats) return [{ type, status: false, ...nats }];
  if (!conditionOf(run.status?.conditions, type)) return [];
  return [{ type, status: true, reason: REASONS.natsBack, message: 'the operator uses NATS' }];
}

/** Only for a run that was stalled once. */
export const notStalled = ({ status }: KubernetesRun): NewCondition[] =>
  conditionOf(status?.conditions, 'Stalled')
    ? [{ type: 'Stalled', status: false, reason: REASONS.healthy, message: 'the run gets on' }]
    : [];

export const NOT_SUSPENDED = {
  type: 'Suspended',
  status: false,
  reason: REASONS.notSuspended,
} as const;

/** Only for a run that was suspended once. */
export function suspended(
  run: KubernetesRun,
  phase: Phase,
  cause: Cause | undefined,
): NewCondition[] {
  const message = cause?.message ?? '';
  if (run.spec.suspend) {
    return [{ type: 'Suspended', status: phase === 'Suspended', reason: phase, message }];
  }
  if (!conditionOf(run.status?.conditions, 'Suspended')) return [];
  return [{ ...NOT_SUSPENDED, reason: REASONS.resumed, message: 'the trainers may run' }];
}
