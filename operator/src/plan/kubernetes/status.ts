import { conditionOf, isTrue, type NewCondition, withConditions } from './conditions.ts';
import type { Evaluation } from './evaluation.ts';
import { REASONS } from './names.ts';
import { timestamp } from './objects.ts';
import { suspensionMessage } from './suspend.ts';
import type { Cause, KubernetesRun, ModuleRow, Phase, RunStatus } from './types.ts';

/** How a run ended. */
export interface Ending extends Cause {
  type: 'Complete' | 'Failed';
}

/** A finished run never starts again: what ended it stands in its status for good. */
export const isFinished = (status: RunStatus | undefined): boolean =>
  isTrue(status?.conditions, 'Complete') || isTrue(status?.conditions, 'Failed');

/** The status of a run that goes on, from what its modules are at. */
export function activeStatus(
  run: KubernetesRun,
  rows: ModuleRow[],
  activePods: number,
  evaluation: Evaluation,
  now: Date,
): RunStatus {
  const phase = evaluation.pending ? evaluationPhase(run, activePods) : runPhase(rows);
  const cause = run.spec.suspend
    ? { reason: phase, message: suspensionMessage(run, activePods) }
    : evaluation.pending
      ? evaluation.waits
      : runCause(rows);
  const progressing = PROGRESSING.includes(phase) && !(evaluation.pending && cause);
  return {
    phase,
    ...(cause && { message: cause.message }),
    ...summary(rows),
    conditions: conditions(run, now, [
      ready(rows),
      {
        type: 'Progressing',
        status: progressing,
        reason: cause?.reason ?? phase,
        message: cause?.message ?? WORDS[phase] ?? '',
      },
      ...suspended(run, phase, cause),
      ...(evaluation.condition ? [evaluation.condition] : []),
    ]),
    modules: rows,
    ...evaluated(evaluation),
    ...(!run.spec.suspend && { startTime: run.status?.startTime ?? timestamp(now) }),
    ...generation(run),
  };
}

/** The status of a run that has just ended. */
export function endedStatus(
  run: KubernetesRun,
  rows: readonly ModuleRow[],
  { type, reason, message }: Ending,
  evaluation: Pick<Evaluation, 'condition' | 'evaluatedSamples'>,
  now: Date,
): RunStatus {
  const modules = rows.map((row) => (type === 'Failed' ? stopped(row) : row));
  return {
    phase: type,
    message,
    ...summary(modules),
    conditions: conditions(run, now, [
      { type: 'Ready', status: false, reason: REASONS.finished, message },
      { type: 'Progressing', status: false, reason: REASONS.finished, message },
      ...(conditionOf(run.status?.conditions, 'Suspended')
        ? [{ ...NOT_SUSPENDED, message: 'the run has ended' }]
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

function stopped(row: ModuleRow): ModuleRow {
  const { reason, message, etaSeconds, samplesPerSecond, ...rest } = row;
  if (row.phase === 'Complete') return row;
  if (row.phase === 'Failed') return { ...rest, reason, message, replicas: 0 };
  return { ...rest, phase: 'Stopped', replicas: 0 };
}

/** The status of a run that ended before: as it was, but for pods that went. */
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

/**
 * The status of a run that trains and whose spec was changed into one that cannot be: nothing is undone
 * until it is mended.
 */
export function heldStatus(run: KubernetesRun, message: string, now: Date): RunStatus {
  return {
    ...run.status,
    message,
    conditions: conditions(run, now, [
      { type: 'Progressing', status: false, reason: REASONS.invalid, message },
    ]),
    ...generation(run),
  };
}

const PROGRESSING: readonly Phase[] = ['Starting', 'Training', 'Forwarding', 'Evaluating'];

function evaluationPhase({ spec }: KubernetesRun, activePods: number): Phase {
  if (!spec.suspend) return 'Evaluating';
  return activePods > 0 ? 'Suspending' : 'Suspended';
}

const evaluated = ({ evaluatedSamples }: Pick<Evaluation, 'evaluatedSamples'>) =>
  evaluatedSamples === undefined ? {} : { evaluatedSamples };

/** From the one that is furthest behind: a run trains only when all its modules do at least that. */
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

/** Nothing holds it up: in iterative order it comes later. */
const waitsItsTurn = ({ reason }: ModuleRow): boolean => reason === REASONS.turn;

const WORDS: Partial<Record<Phase, string>> = {
  Starting: 'all trainers run; not all have made their first step',
  Training: 'all trainers are at work',
  Forwarding: 'every module has spent its budget',
  Evaluating: 'all modules are trained and are being read out',
};

/** What holds the run up: the cause that the first module has, and how many more there are. */
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

function ready(rows: readonly ModuleRow[]): NewCondition {
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

const NOT_SUSPENDED = { type: 'Suspended', status: false, reason: REASONS.notSuspended } as const;

/** There only for runs that were suspended once. */
function suspended(run: KubernetesRun, phase: Phase, cause: Cause | undefined): NewCondition[] {
  const message = cause?.message ?? '';
  if (run.spec.suspend) {
    return [{ type: 'Suspended', status: phase === 'Suspended', reason: phase, message }];
  }
  if (!conditionOf(run.status?.conditions, 'Suspended')) return [];
  return [{ ...NOT_SUSPENDED, reason: REASONS.resumed, message: 'the trainers may run' }];
}

const conditions = (run: KubernetesRun, now: Date, changes: NewCondition[]) =>
  withConditions(run.status?.conditions, changes, { now, generation: run.metadata.generation });

const generation = ({ metadata }: KubernetesRun): Pick<RunStatus, 'observedGeneration'> =>
  metadata.generation === undefined ? {} : { observedGeneration: metadata.generation };

function summary(rows: readonly ModuleRow[]): Pick<RunStatus, 'ready' | 'percent' | 'etaSeconds'> {
  const etas = rows.flatMap(({ etaSeconds }) => etaSeconds ?? []);
  const training = rows.filter(({ phase }) => phase === 'Training');
  return {
    ...readyOf(rows),
    percent: Math.min(...rows.map(({ percent = 0 }) => percent)),
    // As long as one of them has none, nobody knows when the run will be done.
    ...(etas.length > 0 &&
      etas.length >= training.length &&
      !rows.some(waitsItsTurn) && { etaSeconds: Math.max(...etas) }),
  };
}

function readyOf(rows: readonly ModuleRow[]): { ready: string } {
  const count = (of: 'readyReplicas' | 'replicas') => rows.reduce((n, row) => n + row[of], 0);
  return { ready: `${count('readyReplicas')}/${count('replicas')}` };
}

/** Whether `next` says anything else than other figures, so that it cannot wait for its turn. */
export function isUrgent(old: RunStatus | undefined, next: RunStatus): boolean {
  const gist = (status: RunStatus | undefined) =>
    JSON.stringify([
      status?.phase,
      status?.ready,
      status?.conditions?.map(({ type, status, reason }) => [type, status, reason]),
      status?.modules?.map(({ name, phase, reason, replicas }) => [name, phase, reason, replicas]),
    ]);
  return gist(old) !== gist(next);
}
