import { conditionOf } from './conditions.ts';
import { EVENT_MESSAGE_MAX, REASONS } from './names.ts';
import type { ModuleRow, Phase, PlannedEvent, RunStatus } from './types.ts';

/** What happens by itself within seconds and needs nobody's attention. */
const PASSING: readonly string[] = [
  REASONS.noPods,
  REASONS.replacing,
  REASONS.scaledToZero,
  REASONS.turn,
  'ContainerCreating',
  'PodInitializing',
  'PodPending',
];

/** Worth an event, but nothing is wrong. */
const NORMAL: readonly string[] = [REASONS.queued];

/** The transitions between two statuses. Equal ones have none, so nothing is said twice. */
export function transitions(old: RunStatus | undefined, next: RunStatus): PlannedEvent[] {
  const rows = new Map(old?.modules?.map((row) => [row.name, row]));
  return [
    ...(next.modules ?? []).flatMap((row) => moduleEvents(rows.get(row.name), row)),
    ...evaluationEvents(old, next),
    ...runEvents(old, next),
  ].map((event) => ({ ...event, message: event.message.slice(0, EVENT_MESSAGE_MAX) }));
}

function moduleEvents(old: ModuleRow | undefined, next: ModuleRow): PlannedEvent[] {
  const { name, phase, reason, message = '' } = next;
  const events: PlannedEvent[] = [];
  const entered = (each: Phase) => phase === each && old?.phase !== each;
  const add = (reason: string, words: string, type: PlannedEvent['type'] = 'Normal') =>
    events.push({ type, reason, message: `module ${name}: ${words}` });

  // The end of a run is told once, by its own event.
  const held = reason !== undefined && phase !== 'Failed' && phase !== 'Stopped';
  if (held && reason !== old?.reason && !PASSING.includes(reason)) {
    add(reason, message, NORMAL.includes(reason) ? 'Normal' : 'Warning');
  }
  if ((next.restarts ?? 0) > (old?.restarts ?? 0) && reason !== REASONS.restarting) {
    add(REASONS.restarting, `a trainer failed; ${next.restarts} so far`, 'Warning');
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
  // Readouts that follow one another may end alike but for their words.
  if (reason === before?.reason && message === before.message) return [];
  return [{ type: reason === REASONS.evaluated ? 'Normal' : 'Warning', reason, message }];
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
    // What a run is pending for, its modules say; of readouts their own condition tells.
    events.push({ type: 'Normal', reason: phase, message: message ?? invalid?.message ?? phase });
  }
  return events;
}
