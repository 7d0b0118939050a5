import type { Failure } from '@greedy-infomax/crds';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { type Completion, isSameFailure } from './completion.ts';
import { withConditions } from './conditions.ts';
import { lastFailure, moduleFailure } from './failure.ts';
import { isFailed, queueLabels } from './jobs.ts';
import { BACKOFF_LIMIT, KUEUE_QUEUE, REASONS, SILENT_SECONDS } from './names.ts';
import { childName, millis, selectorOf, timestamp } from './objects.ts';
import { pendingCause } from './pending.ts';
import { isActive, isReady, reportOf, trainerStatus, trainers } from './pods.ts';
import { figuresOf, pickFigures } from './progress.ts';
import { isTrouble } from './severity.ts';
import type {
  Accuracy,
  Cause,
  KubernetesRun,
  ModuleResourceStatus,
  ModuleRow,
  ObservedModule,
  ObservedReport,
  Phase,
  RunStatus,
  Warnings,
} from './types.ts';

/** Everything known about one module. */
export interface ModuleState {
  run: KubernetesRun;
  name: string;
  /** Trainers that there should be. */
  wanted: number;
  job: V1Job | undefined;
  /** The module's own object. */
  object?: ObservedModule;
  /** The module that must have spent its budget before this one begins. */
  waitsFor?: string;
  /** True while the checkpoints of a former run of this name are being removed. */
  isFolderInUse?: boolean;
  /** Pods of the Job. */
  pods: readonly V1Pod[];
  reports: readonly ObservedReport[];
  warnings: Warnings;
  /** True while the operator has lost NATS, so that missing reports say nothing about trainers. */
  natsAway: boolean;
  /** Evidence that the module is complete, or what is missing for it. */
  completion: Completion | undefined;
  /** Newest failure of the module's trainers; the one of the present status where nothing newer is known. */
  failure: Failure | undefined;
  /** Accuracies that the newest evaluation found, if it is new. */
  accuracy: Accuracy | undefined;
  /** Row of the module in the run's present status. */
  old: ModuleRow | undefined;
  now: Date;
}

interface Finding {
  phase: Phase;
  cause?: Cause;
}

/** Returns the module's row in the run's status. What was known once stays: figures, accuracy, completion, failures. */
export function moduleRow(state: ModuleState): ModuleRow {
  const { name, wanted, pods, reports, accuracy, completion, failure, old } = state;
  const restarts = restartsOf(state);
  const { phase, cause } = finding(state, restarts);
  const known = trainers(pods, wanted).flatMap((pod) => (pod && reportOf(pod, reports)) ?? []);
  const { accuracy: after = old?.accuracy, accuracyUntrained = old?.accuracyUntrained } =
    accuracy ?? {};
  const figures =
    phase === 'Training' || phase === 'Starting'
      ? figuresOf(known, old)
      : figuresOf([], figuresOf(known, old));
  const evidence = completion?.proven ? completion.evidence : undefined;
  return {
    name,
    phase,
    ...(cause && { reason: cause.reason, message: cause.message.slice(0, 1024) }),
    replicas: phase === 'Complete' || cause?.reason === REASONS.turn ? 0 : wanted,
    readyReplicas: pods.filter(isReady).length,
    ...(restarts > 0 && { restarts }),
    ...(failure && { lastFailure: failure }),
    ...figures,
    ...(evidence && { ...evidence, samples: Math.max(figures.samples ?? 0, evidence.samples) }),
    ...(phase === 'Complete' && { percent: 100 }),
    ...(after !== undefined && { accuracy: after }),
    ...(accuracyUntrained !== undefined && { accuracyUntrained }),
  };
}

/** Returns the `failure` of a module's state. */
export function newestFailure({
  run,
  pods,
  reports,
  completion,
  old,
}: Pick<ModuleState, 'run' | 'pods' | 'reports' | 'completion' | 'old'>): Failure | undefined {
  // The pods of a suspended run end because they are told to.
  const found = run.spec.suspend ? undefined : lastFailure(pods, reports);
  const unproven = completion && !completion.proven ? completion.failure : undefined;
  return [old?.lastFailure, found, unproven]
    .filter((each) => each !== undefined)
    .toSorted((a, b) => (millis(a.time) ?? 0) - (millis(b.time) ?? 0))
    .at(-1);
}

/** Reports whether the status of the run already has the newest failure of the module. */
export const isFailureKept = ({ failure, old }: ModuleState): boolean =>
  isSameFailure(failure, old?.lastFailure);

/** A Job cannot repeat an index that succeeded, so one without proof counts here; see `isOverLimit`. */
function restartsOf({ job, completion, failure, old }: ModuleState): number {
  const before = Math.max(old?.restarts ?? 0, job?.status?.failed ?? 0);
  const isNew =
    completion?.proven === false &&
    isSameFailure(completion.failure, failure) &&
    !isSameFailure(failure, old?.lastFailure);
  return before + (isNew ? 1 : 0);
}

/** Reports whether a module has failed more often than its Job may fail. */
const isOverLimit = (job: V1Job | undefined, restarts: number): boolean =>
  restarts > (job?.spec?.backoffLimit ?? BACKOFF_LIMIT);

function finding(state: ModuleState, restarts: number): Finding {
  const { run, name, wanted, job, pods, reports, completion, old } = state;
  if (old?.phase === 'Complete' || completion?.proven) {
    const keeper = completion?.proven ? completion.keeper : undefined;
    return { phase: 'Complete', ...(keeper && { cause: keeper }) };
  }
  if (job && isFailed(job)) {
    return { phase: 'Failed', cause: moduleFailure(name, job, pods, reports) };
  }
  if (completion?.proven === false) {
    const { pod, message } = completion.failure;
    const words = pod === undefined ? message : `${message} (${pod})`;
    return isOverLimit(job, restarts)
      ? {
          phase: 'Failed',
          cause: {
            reason: REASONS.moduleFailed,
            message: `module ${name}: ${words} (it failed too often)`,
          },
        }
      : {
          phase: 'Pending',
          cause: { reason: REASONS.restarting, message: `starts again: ${words}` },
        };
  }
  if (run.spec.suspend) return { phase: pods.some(isActive) ? 'Suspending' : 'Suspended' };
  if (state.waitsFor !== undefined) {
    const message = `waits for module ${state.waitsFor} to spend its budget`;
    return { phase: 'Pending', cause: { reason: REASONS.turn, message } };
  }
  if (state.isFolderInUse) {
    const message = 'waits until the checkpoints of the deleted run of this name are removed';
    return { phase: 'Pending', cause: { reason: REASONS.replacing, message } };
  }
  if (wanted === 0) {
    const message = 'it is scaled to 0 trainers';
    return { phase: 'Pending', cause: { reason: REASONS.scaledToZero, message } };
  }
  const each = trainers(pods, wanted);
  const queue = queueLabels(run)[KUEUE_QUEUE];
  for (const pod of each) {
    const cause = pendingCause({ ...state, pod, queue });
    if (cause) return { phase: 'Pending', cause };
  }
  return atWork(each as V1Pod[], state);
}

/** Every trainer runs. */
function atWork(pods: readonly V1Pod[], { reports, now, natsAway }: ModuleState): Finding {
  const each = pods.map((pod) => ({ pod, report: reportOf(pod, reports) }));
  const failed = each.find(({ report }) => report?.phase === 'failed')?.report;
  if (failed) {
    const message = failed.message ?? 'its trainer failed';
    return { phase: 'Starting', cause: { reason: REASONS.trainerFailed, message } };
  }
  const phases = each.map(({ report }) => report?.phase ?? 'starting');
  const phase = phases.includes('starting')
    ? 'Starting'
    : phases.includes('training')
      ? 'Training'
      : 'Forwarding';
  const quietSince = Math.min(
    ...each
      .filter(({ pod }) => isActive(pod))
      .map(({ pod, report }) => heardOf(pod, report) ?? now.getTime()),
  );
  if (natsAway || now.getTime() - quietSince < SILENT_SECONDS * 1000) return { phase };
  const message = `no report since ${timestamp(new Date(quietSince))}`;
  return { phase, cause: { reason: REASONS.silent, message } };
}

const heardOf = (pod: V1Pod, report: ObservedReport | undefined): number | undefined =>
  report?.receivedAt ?? report?.at ?? millis(trainerStatus(pod)?.state?.running?.startedAt);

/** Reports whether the module has spent its budget: each of its trainers says so. */
export function hasSpentBudget(row: ModuleRow): boolean {
  return row.phase === 'Complete' || row.phase === 'Forwarding';
}

/** The status of each module's object, which agrees with the module's row in the run's status. */
export function moduleStatuses(
  states: readonly ModuleState[],
  rows: readonly ModuleRow[],
  { modules = [] }: RunStatus,
): Map<string, ModuleResourceStatus> {
  return new Map(
    states.map((state, i) => [
      childName(state.run.metadata.name, state.name),
      moduleResourceStatus(
        state,
        modules.find(({ name }) => name === state.name) ?? (rows[i] as ModuleRow),
      ),
    ]),
  );
}

/** Returns the status of a module's own object. */
function moduleResourceStatus(
  { run, name, object, pods, now }: ModuleState,
  row: ModuleRow,
): ModuleResourceStatus {
  const { phase, readyReplicas, replicas, restarts, lastFailure, message } = row;
  const generation = object?.metadata?.generation;
  const reason = row.reason ?? phase;
  const words = message ?? WORDS[phase] ?? phase;
  const isOver = phase === 'Complete' || phase === 'Failed' || phase === 'Stopped';
  const ready = phase === 'Complete' || (!isOver && replicas > 0 && readyReplicas >= replicas);
  const works = phase === 'Starting' || phase === 'Training' || phase === 'Forwarding';
  const trouble = phase === 'Failed' || isTrouble(row.reason);
  const count = `${readyReplicas} of ${replicas} trainers are ready`;
  return {
    phase,
    replicas: pods.filter((pod) => isActive(pod) && !pod.metadata?.deletionTimestamp).length,
    readyReplicas,
    selector: selectorOf(run.metadata.name, name),
    ...(restarts !== undefined && { restarts }),
    ...(lastFailure && { lastFailure }),
    ...pickFigures(row),
    conditions: withConditions(
      object?.status?.conditions,
      [
        {
          type: 'Ready',
          status: ready,
          reason: isOver ? phase : ready ? REASONS.ready : REASONS.notReady,
          message: isOver ? words : count,
        },
        { type: 'Progressing', status: works, reason, message: words },
        trouble
          ? { type: 'Degraded', status: true, reason, message: words }
          : {
              type: 'Degraded',
              status: false,
              reason: REASONS.healthy,
              message: 'nothing needs attention',
            },
        ...(phase === 'Complete' || phase === 'Failed'
          ? [{ type: phase, status: true, reason, message: words }]
          : []),
        ...(phase === 'Failed'
          ? [{ type: 'Stalled' as const, status: true, reason, message: words }]
          : []),
      ],
      { now, generation },
    ),
    ...(generation !== undefined && { observedGeneration: generation }),
  };
}

const WORDS: Partial<Record<Phase, string>> = {
  Starting: 'all trainers run; not all have made their first step',
  Training: 'all trainers train',
  Forwarding: 'the budget is spent; later modules still need its output',
  Complete: 'the budget is spent, and a checkpoint of the last step is written',
  Suspending: 'its trainers write checkpoints and end',
  Suspended: 'the run is suspended',
  Stopped: 'the run ended before the module did',
};
