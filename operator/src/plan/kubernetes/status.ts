import { conditionOf, isTrue, type NewCondition, withConditions } from './conditions.ts';
import { humanDuration } from './duration.ts';
import type { EvaluationPlan } from './evaluation.ts';
import { suspensionMessage } from './jobs.ts';
import { REASONS } from './names.ts';
import { millis, timestamp } from './objects.ts';
import {
  degraded,
  NOT_DEGRADED,
  NOT_SUSPENDED,
  natsReachable,
  notStalled,
  ready,
  readyOf,
  suspended,
} from './run-conditions.ts';
import type { Cause, KubernetesRun, ModuleRow, ObservedReport, Phase, RunStatus } from './types.ts';

/** End of a run: its type, reason and message. */
export interface Ending extends Cause {
  type: 'Complete' | 'Failed';
}

/** Reports whether the run has ended. A run never restarts: its status keeps the end. */
export const isFinished = (status: RunStatus | undefined): boolean =>
  isTrue(status?.conditions, 'Complete') || isTrue(status?.conditions, 'Failed');

/** Input of the status of a run that has not ended. */
export interface ActiveRun {
  run: KubernetesRun;
  rows: ModuleRow[];
  activePods: number;
  evaluation: EvaluationPlan;
  reports: readonly ObservedReport[];
  /** Why the operator cannot use NATS; undefined if it can. */
  nats: Cause | undefined;
  now: Date;
}

/** Returns the status of a run that goes on. */
export function activeStatus(active: ActiveRun): RunStatus {
  const { run, rows, activePods, evaluation, reports, nats, now } = active;
  const phase = evaluation.pending ? evaluationPhase(run, activePods) : runPhase(rows);
  const cause = run.spec.suspend
    ? { reason: phase, message: suspensionMessage(run, activePods) }
    : evaluation.pending
      ? evaluation.waits
      : (runCause(rows) ?? nats);
  const progressing =
    PROGRESSING.includes(phase) && !(evaluation.pending && cause) && !(nats && cause === nats);
  return {
    phase,
    ...(cause && { message: cause.message }),
    ...summary(rows, run),
    ...reported(run, reports),
    conditions: conditions(run, now, [
      ready(rows),
      {
        type: 'Progressing',
        status: progressing,
        reason: cause?.reason ?? phase,
        message: cause?.message ?? PHASES[phase] ?? '',
      },
      degraded(rows),
      ...natsReachable(run, nats),
      ...notStalled(run),
      ...suspended(run, phase, cause),
      ...(evaluation.condition ? [evaluation.condition] : []),
    ]),
    modules: rows,
    ...evaluated(evaluation),
    ...(!run.spec.suspend && { startTime: run.status?.startTime ?? timestamp(now) }),
    ...generation(run),
  };
}

/** Returns the status of a run that has just ended. */
export function endedStatus(
  run: KubernetesRun,
  rows: readonly ModuleRow[],
  { type, reason, message }: Ending,
  evaluation: Pick<EvaluationPlan, 'condition' | 'evaluatedSamples'>,
  now: Date,
): RunStatus {
  const modules = rows.map((row) => (type === 'Failed' ? stopped(row) : row));
  return {
    phase: type,
    message,
    ...summary(modules, run),
    ...reported(run, []),
    conditions: conditions(run, now, [
      // Clients wait for Ready to get the result: kstatus reads Ready as done and Stalled as failed.
      { type: 'Ready', status: type === 'Complete', reason: type, message: ENDED },
      { type: 'Progressing', status: false, reason: REASONS.finished, message: ENDED },
      type === 'Failed' ? { type: 'Degraded', status: true, reason, message: ENDED } : NOT_DEGRADED,
      ...(type === 'Failed'
        ? [{ type: 'Stalled' as const, status: true, reason, message }]
        : notStalled(run)),
      ...(conditionOf(run.status?.conditions, 'Suspended')
        ? [{ ...NOT_SUSPENDED, message: ENDED }]
        : []),
      ...(evaluation.condition ? [evaluation.condition] : []),
      { type, status: true, reason, message },
    ]),
    modules,
    ...evaluated(evaluation),
    ...(run.status?.startTime && { startTime: run.status.startTime }),
    completionTime: timestamp(now),
    ...generation(run),
  };
}

const ENDED = 'the run has ended';

function stopped(row: ModuleRow): ModuleRow {
  const { reason, message, etaSeconds, samplesPerSecond, ...rest } = row;
  if (row.phase === 'Complete') return row;
  if (row.phase === 'Failed') return { ...rest, reason, message, replicas: 0 };
  return { ...rest, phase: 'Stopped', replicas: 0 };
}

/** Returns the status of a run that ended before: only the number of ready pods may have changed. */
export function finishedStatus(run: KubernetesRun, rows: readonly ModuleRow[]): RunStatus {
  const { status = {} } = run;
  const now = new Map(rows.map((row) => [row.name, row]));
  const modules = status.modules?.map((row) => ({
    ...row,
    readyReplicas: now.get(row.name)?.readyReplicas ?? 0,
  }));
  return {
    ...status,
    ...(modules && { modules, ...readyOf(modules) }),
    ...generation(run),
  };
}

/** Returns the status of a run that trains and whose changed spec is invalid: its trainers go on as before. */
export function heldStatus(run: KubernetesRun, message: string, now: Date): RunStatus {
  return {
    ...run.status,
    message,
    conditions: conditions(run, now, [
      { type: 'Progressing', status: false, reason: REASONS.invalid, message },
      { type: 'Stalled', status: true, reason: REASONS.invalid, message },
    ]),
    ...generation(run),
  };
}

const PROGRESSING: readonly Phase[] = ['Starting', 'Training', 'Forwarding', 'Evaluating'];

function evaluationPhase({ spec }: KubernetesRun, activePods: number): Phase {
  if (!spec.suspend) return 'Evaluating';
  return activePods > 0 ? 'Suspending' : 'Suspended';
}

const evaluated = ({ evaluatedSamples }: Pick<EvaluationPlan, 'evaluatedSamples'>) =>
  evaluatedSamples === undefined ? {} : { evaluatedSamples };

/** The phase of the module that is furthest behind. */
function runPhase(rows: readonly ModuleRow[]): Phase {
  const order: Phase[] = [
    'Suspending',
    'Suspended',
    'Pending',
    'Starting',
    'Training',
    'Forwarding',
  ];
  const begun = rows.filter((row) => !waitsItsTurn(row));
  return order.find((phase) => begun.some((row) => row.phase === phase)) ?? 'Complete';
}

/** Reports whether the module waits for an earlier one, in iterative order. */
const waitsItsTurn = ({ reason }: ModuleRow): boolean => reason === REASONS.turn;

export const PHASES: Partial<Record<Phase, string>> = {
  Starting: 'all trainers run; not all have made their first step',
  Training: 'all trainers train',
  Forwarding: 'every module has spent its budget',
  Evaluating: 'all modules are trained; linear probes are trained on them',
};

/** The cause that blocks the first of the blocked modules, and the number of the others. */
function runCause(rows: readonly ModuleRow[]): Cause | undefined {
  const held = rows.filter((row) => row.message !== undefined && !waitsItsTurn(row));
  const [first] = held.filter(({ phase }) => phase === 'Pending').concat(held);
  if (!first) return undefined;
  const more = held.length - 1;
  const others = more > 0 ? ` (and ${more} more module${more > 1 ? 's' : ''})` : '';
  return {
    reason: first.reason ?? first.phase,
    message: `module ${first.name}: ${first.message}${others}`,
  };
}

/** The time of the newest report; the former one where there is none. */
function reported(
  { status }: KubernetesRun,
  reports: readonly ObservedReport[],
): Pick<RunStatus, 'lastReportTime'> {
  const times = reports.map(({ receivedAt, at }) => receivedAt ?? at);
  const newest = Math.max(millis(status?.lastReportTime) ?? 0, ...times);
  return newest > 0 ? { lastReportTime: timestamp(new Date(newest)) } : {};
}

const conditions = (run: KubernetesRun, now: Date, changes: NewCondition[]) =>
  withConditions(run.status?.conditions, changes, { now, generation: run.metadata.generation });

const generation = ({ metadata }: KubernetesRun): Pick<RunStatus, 'observedGeneration'> =>
  metadata.generation === undefined ? {} : { observedGeneration: metadata.generation };

type Summary = Pick<
  RunStatus,
  'ready' | 'percent' | 'etaSeconds' | 'eta' | 'restarts' | 'lastFailure'
>;

function summary(rows: readonly ModuleRow[], { status }: KubernetesRun): Summary {
  const etas = rows.flatMap(({ etaSeconds }) => etaSeconds ?? []);
  const training = rows.filter(({ phase }) => phase === 'Training');
  // As long as one of them has none, the end of the run is unknown.
  const isKnown = etas.length > 0 && etas.length >= training.length && !rows.some(waitsItsTurn);
  const etaSeconds = Math.max(...etas);
  const restarts = rows.reduce((sum, row) => sum + (row.restarts ?? 0), 0);
  const failed = rows
    .flatMap(({ name, lastFailure }) => (lastFailure ? { ...lastFailure, module: name } : []))
    .toSorted((a, b) => (millis(a.time) ?? 0) - (millis(b.time) ?? 0))
    .at(-1);
  const lastFailure = failed ?? status?.lastFailure;
  return {
    ...readyOf(rows),
    percent: Math.min(...rows.map(({ percent = 0 }) => percent)),
    ...(isKnown && { etaSeconds, eta: humanDuration(etaSeconds) }),
    ...(restarts > 0 && { restarts }),
    ...(lastFailure && { lastFailure }),
  };
}

/** Reports whether `next` differs from `old` in more than figures, so that it is written at once. */
export function isUrgent(old: RunStatus | undefined, next: RunStatus): boolean {
  const gist = (status: RunStatus | undefined) =>
    JSON.stringify([
      status?.phase,
      status?.ready,
      status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
      status?.modules?.map(({ name, phase, reason, replicas, restarts, lastFailure }) => {
        const { time, pod } = lastFailure ?? {};
        return [name, phase, reason, replicas, restarts, time, pod];
      }),
    ]);
  return gist(old) !== gist(next);
}
