import { FINAL_EXIT_CODES } from '@greedy-infomax/crds';
import { isSameFailure } from './completion.ts';
import { conditionOf } from './conditions.ts';
import { EVENT_MESSAGE_MAX, REASONS } from './names.ts';
import { eventType } from './severity.ts';
import { PHASES } from './status.ts';
import type { ModuleRow, Phase, PlannedEvent, RunStatus } from './types.ts';

/** Returns the events of the change from one status to the next; none if they are equal. */
export function transitions(old: RunStatus | undefined, next: RunStatus): PlannedEvent[] {
  const rows = new Map(old?.modules?.map((row) => [row.name, row]));
  return [
    ...(next.modules ?? []).flatMap((row) => moduleEvents(rows.get(row.name), row)),
    ...evaluationEvents(old, next),
    ...natsEvents(old, next),
    ...runEvents(old, next),
  ].map((event) => ({
    ...event,
    message: event.message.slice(0, EVENT_MESSAGE_MAX),
    ...(event.module && {
      module: { ...event.module, message: event.module.message.slice(0, EVENT_MESSAGE_MAX) },
    }),
  }));
}

function moduleEvents(old: ModuleRow | undefined, next: ModuleRow): PlannedEvent[] {
  const { name, phase, reason, message = '' } = next;
  const events: PlannedEvent[] = [];
  const entered = (each: Phase) => phase === each && old?.phase !== each;
  const add = (reason: string, words: string, type: PlannedEvent['type'] = 'Normal') =>
    events.push({
      type,
      reason,
      message: `module ${name}: ${words}`,
      module: { name, message: words },
    });

  // The end of a run has an event of its own.
  const goesOn = phase !== 'Failed' && phase !== 'Stopped';
  const type = reason === undefined ? undefined : eventType(reason);
  if (goesOn && reason !== undefined && reason !== old?.reason && type) add(reason, message, type);
  const { lastFailure } = next;
  if (goesOn && lastFailure && !isSameFailure(lastFailure, old?.lastFailure)) {
    const { exitCode = 0, pod } = lastFailure;
    // A final one fails the run, which says so.
    if (!FINAL_EXIT_CODES.includes(exitCode)) {
      add(lastFailure.reason, `${lastFailure.message}${pod ? ` (${pod})` : ''}`, 'Warning');
    }
  }
  if (entered('Forwarding') && old) {
    add(
      REASONS.moduleTrained,
      `trained on ${next.samples ?? 0} samples; forwards to later modules`,
    );
  }
  if (entered('Complete'))
    add(REASONS.moduleComplete, `complete after ${next.samples ?? 0} samples`);
  const scaled = old && old.replicas !== next.replicas;
  if (scaled && phase !== 'Complete' && phase !== 'Stopped' && phase !== 'Failed') {
    add(REASONS.scaled, `from ${old.replicas} to ${next.replicas} trainers`);
  }
  return events;
}

function evaluationEvents(old: RunStatus | undefined, next: RunStatus): PlannedEvent[] {
  const before = conditionOf(old?.conditions, 'Evaluated');
  const now = conditionOf(next.conditions, 'Evaluated');
  if (now === undefined) return [];
  const { reason, message } = now;
  if (reason === REASONS.evaluating) {
    const started = reason !== before?.reason;
    return started ? [{ type: 'Normal', reason: REASONS.evaluationStarted, message }] : [];
  }
  // A run without storage chose to have no evaluation.
  if (reason === REASONS.noVolume) return [];
  // Successive evaluations may differ in their message alone.
  if (reason === before?.reason && message === before.message) return [];
  return [{ type: reason === REASONS.evaluated ? 'Normal' : 'Warning', reason, message }];
}

function natsEvents(old: RunStatus | undefined, next: RunStatus): PlannedEvent[] {
  const before = conditionOf(old?.conditions, 'NATSReachable');
  const now = conditionOf(next.conditions, 'NATSReachable');
  if (now === undefined || now.status === (before?.status ?? 'True')) return [];
  const type = now.status === 'False' ? 'Warning' : 'Normal';
  return [{ type, reason: now.reason, message: now.message }];
}

function runEvents(old: RunStatus | undefined, next: RunStatus): PlannedEvent[] {
  const { phase, message } = next;
  const events: PlannedEvent[] = [];
  const ended = conditionOf(next.conditions, phase === 'Failed' ? 'Failed' : 'Complete');
  const invalid = conditionOf(next.conditions, 'Progressing');
  const before = conditionOf(old?.conditions, 'Progressing');
  if (phase === old?.phase || phase === undefined) {
    if (invalid?.reason === REASONS.invalid && before?.message !== invalid.message) {
      events.push({ type: 'Warning', reason: invalid.reason, message: invalid.message });
    }
    return events;
  }
  const wasSuspended = old?.phase === 'Suspended' || old?.phase === 'Suspending';
  const isSuspended = phase === 'Suspended' || phase === 'Suspending';
  if (wasSuspended && !isSuspended && !ended) {
    events.push({ type: 'Normal', reason: REASONS.resumed, message: 'the trainers may run again' });
  }
  if (ended?.status === 'True') {
    const type = phase === 'Failed' ? 'Warning' : 'Normal';
    events.push({ type, reason: ended.reason, message: ended.message });
  } else if (phase !== 'Pending' && phase !== 'Evaluating') {
    // Modules report why a run is pending; the Evaluated condition reports evaluations.
    const words = isSuspended ? message : PHASES[phase];
    events.push({ type: 'Normal', reason: phase, message: words ?? phase });
  }
  return events;
}
