import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { moduleFailure } from './failure.ts';
import { isComplete, isFailed, queueLabels } from './jobs.ts';
import { KUEUE_QUEUE, REASONS, SILENT_SECONDS } from './names.ts';
import { millis, selectorOf, timestamp } from './objects.ts';
import { pendingCause } from './pending.ts';
import { isActive, isReady, reportOf, trainerStatus, trainers } from './pods.ts';
import { figuresOf, pickFigures } from './progress.ts';
import type {
  Accuracy,
  Cause,
  KubernetesRun,
  ModuleResourceStatus,
  ModuleRow,
  ObservedReport,
  Phase,
} from './types.ts';

/** All that is known of one module. */
export interface ModuleState {
  run: KubernetesRun;
  name: string;
  /** Trainers that there should be. */
  wanted: number;
  job: V1Job | undefined;
  /** The module that must have spent its budget before this one begins. */
  waitsFor?: string;
  /** Whether the checkpoints of a former run of this name are still being removed. */
  isFolderInUse?: boolean;
  /** Those of the job. */
  pods: readonly V1Pod[];
  reports: readonly ObservedReport[];
  warnings: ReadonlyMap<string, Cause>;
  /** What the newest readouts found, if they are new. */
  accuracy: Accuracy | undefined;
  /** What status said of it last. */
  old: ModuleRow | undefined;
  now: Date;
}

interface Finding {
  phase: Phase;
  cause?: Cause;
}

/** What status says of a module. What was known once stays: figures, accuracy, that it is complete. */
export function moduleRow(state: ModuleState): ModuleRow {
  const { name, wanted, job, pods, reports, accuracy, old } = state;
  const { phase, cause } = finding(state);
  const known = trainers(pods, wanted).flatMap((pod) => (pod && reportOf(pod, reports)) ?? []);
  const restarts = Math.max(old?.restarts ?? 0, job?.status?.failed ?? 0);
  const { accuracy: after = old?.accuracy, accuracyUntrained = old?.accuracyUntrained } =
    accuracy ?? {};
  return {
    name,
    phase,
    ...(cause && { reason: cause.reason, message: cause.message.slice(0, 1024) }),
    replicas: phase === 'Complete' || cause?.reason === REASONS.turn ? 0 : wanted,
    readyReplicas: pods.filter(isReady).length,
    ...(restarts > 0 && { restarts }),
    ...(phase === 'Training' || phase === 'Starting'
      ? figuresOf(known, old)
      : figuresOf([], figuresOf(known, old))),
    ...(phase === 'Complete' && { percent: 100 }),
    ...(after !== undefined && { accuracy: after }),
    ...(accuracyUntrained !== undefined && { accuracyUntrained }),
  };
}

function finding(state: ModuleState): Finding {
  const { run, name, wanted, job, pods, reports, old } = state;
  if (old?.phase === 'Complete' || isComplete(job)) return { phase: 'Complete' };
  if (job && isFailed(job)) {
    return { phase: 'Failed', cause: moduleFailure(name, job, pods, reports) };
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
function atWork(pods: readonly V1Pod[], { reports, now }: ModuleState): Finding {
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
  if (now.getTime() - quietSince < SILENT_SECONDS * 1000) return { phase };
  const message = `no report since ${timestamp(new Date(quietSince))}`;
  return { phase, cause: { reason: REASONS.silent, message } };
}

const heardOf = (pod: V1Pod, report: ObservedReport | undefined): number | undefined =>
  report?.receivedAt ?? report?.at ?? millis(trainerStatus(pod)?.state?.running?.startedAt);

/** Whether the module has learned what it may: each trainer that should be there says so. */
export function hasSpentBudget(row: ModuleRow): boolean {
  return row.phase === 'Complete' || row.phase === 'Forwarding';
}

/** What the module's own object says of it. */
export const moduleResourceStatus = (state: ModuleState, row: ModuleRow): ModuleResourceStatus => ({
  phase: row.phase,
  replicas: state.pods.filter((pod) => isActive(pod) && !pod.metadata?.deletionTimestamp).length,
  readyReplicas: row.readyReplicas,
  selector: selectorOf(state.run.metadata.name, state.name),
  ...pickFigures(row),
});
