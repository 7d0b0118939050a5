import type { ModuleConfig } from '@greedy-infomax/crds';
import type { V1ConfigMap, V1Job } from '@kubernetes/client-node';
import { dueEvaluation } from '../due-evaluation.ts';
import { conditionOf, type NewCondition } from './conditions.ts';
import { type EvaluationTarget, evaluationJob, evaluationName } from './evaluation-job.ts';
import type { ObservedEvaluation } from './evaluation-results.ts';
import { isBeingDeleted, isOutdated } from './jobs.ts';
import { hasSpentBudget } from './module-status.ts';
import { REASONS } from './names.ts';
import { jobRef } from './objects.ts';
import type { Cause, KubernetesPlan, KubernetesRun, ModuleRow, PlanOptions } from './types.ts';

/** Plans when a run is evaluated, and what status says of it. */

export interface EvaluationPlan {
  /** The evaluation that needs a Job now. */
  target?: EvaluationTarget;
  /** The running Job. */
  current?: V1Job;
  /** Jobs that are of no use any more. */
  useless: V1Job[];
  /** Reports whether the run must wait for its final evaluation. */
  pending: boolean;
  /** Why `current` does not run. */
  waits?: Cause;
  condition?: NewCondition;
  /** See `status.evaluatedSamples`. */
  evaluatedSamples?: number;
}

/** `rows` are those of all modules, with the accuracies that are known. */
export function planEvaluation(
  run: KubernetesRun,
  evaluations: readonly ObservedEvaluation[],
  rows: readonly ModuleRow[],
): EvaluationPlan {
  const { atEnd, everySamples } = run.spec.evaluation;
  const asked = atEnd || everySamples !== undefined;
  if (asked && run.spec.checkpoints.storage === undefined) {
    return { useless: jobsOf(evaluations), pending: false, condition: NO_VOLUME };
  }
  const ended = evaluations.filter(({ state }) => state !== 'underWay');
  const newest = ended.at(-1);
  const evaluatedSamples = Math.max(run.status?.evaluatedSamples ?? 0, newest?.samples ?? 0);
  const trained = rows.every(({ phase }) => phase === 'Complete');
  const end = trained && atEnd ? { samples: slowestOf(rows), final: true } : undefined;
  const isOfEnd = ({ job }: ObservedEvaluation) =>
    end !== undefined && job.metadata?.name === evaluationName(run, end);
  const pending = end !== undefined && !ended.some(isOfEnd);

  const underWay = evaluations.filter(({ state }) => state === 'underWay');
  const active = asked && !run.spec.suspend;
  // The final evaluation replaces one that is still running.
  const current = active ? underWay.find((each) => !trained || isOfEnd(each)) : undefined;
  let target: EvaluationTarget | undefined;
  if (active && trained) target = pending ? end : undefined;
  else if (active && current) target = { samples: current.samples, final: false };
  else if (active) target = dueTarget(run, rows, evaluatedSamples);
  // A result that is not in status yet is read from its pod in the next reconcile.
  const superseded = ended.filter(
    (each) => each !== newest && each.samples <= (run.status?.evaluatedSamples ?? 0),
  );
  return {
    target,
    current: current?.job,
    useless: jobsOf([...underWay.filter((each) => each !== current), ...superseded]),
    pending,
    waits: current?.waits,
    condition: conditionFor(run, target, current?.waits, newest),
    ...(evaluatedSamples > 0 && { evaluatedSamples }),
  };
}

/** The Jobs to apply and to delete. `configMaps` are those of `modules`. */
export function evaluationObjects(
  run: KubernetesRun,
  { target, current, useless }: EvaluationPlan,
  modules: readonly ModuleConfig[],
  configMaps: readonly V1ConfigMap[],
  options: PlanOptions,
): Pick<KubernetesPlan, 'apply' | 'remove'> {
  const remove = useless.filter((job) => !isBeingDeleted(job));
  if (target === undefined) return { apply: [], remove: remove.map(jobRef) };
  const planned = evaluationJob(run, target, modules, configMaps, options);
  if (current === undefined) return { apply: [planned], remove: remove.map(jobRef) };
  // Its name is taken until its last pod has ended.
  if (isOutdated(current, planned) && !isBeingDeleted(current)) remove.push(current);
  return { apply: [], remove: remove.map(jobRef) };
}

const jobsOf = (evaluations: readonly ObservedEvaluation[]): V1Job[] =>
  evaluations.map(({ job }) => job);

const slowestOf = (rows: readonly ModuleRow[]): number =>
  Math.min(...rows.map(({ samples = 0 }) => samples));

/** Returns the evaluation that is due while a run trains: at the newest multiple of `everySamples` without one. */
function dueTarget(
  { spec }: KubernetesRun,
  rows: readonly ModuleRow[],
  evaluatedSamples: number,
): EvaluationTarget | undefined {
  const { atEnd, everySamples } = spec.evaluation;
  if (everySamples === undefined) return undefined;
  // The final evaluation follows soon.
  if (atEnd && rows.every(hasSpentBudget)) return undefined;
  if (rows.some(({ checkpointStep }) => checkpointStep === undefined)) return undefined;
  const samples = dueEvaluation(everySamples, slowestOf(rows), evaluatedSamples);
  return samples === undefined ? undefined : { samples, final: false };
}

const condition = (status: boolean, reason: string, message: string): NewCondition => ({
  type: 'Evaluated',
  status,
  reason,
  message,
});

const NO_VOLUME = condition(
  false,
  REASONS.noVolume,
  'checkpoints end with their pods, so modules cannot be evaluated; name a claim in checkpoints.storage.volumeClaimName, or give checkpoints.storage.objectStore, or set evaluation.atEnd to false',
);

/** undefined: what status says already still holds. */
function conditionFor(
  run: KubernetesRun,
  target: EvaluationTarget | undefined,
  waits: Cause | undefined,
  newest: ObservedEvaluation | undefined,
): NewCondition | undefined {
  if (target) {
    const words = `evaluates all modules after ${target.samples} samples`;
    const waiting = waits ? `; its pod waits: ${waits.message}` : '';
    return condition(false, REASONS.evaluating, words + waiting);
  }
  if (newest?.result) return condition(true, REASONS.evaluated, accuracies(run, newest.result));
  if (newest) {
    const words = `the evaluation after ${newest.samples} samples failed: ${newest.failure}`;
    return condition(false, REASONS.evaluationFailed, words);
  }
  return stopped(run);
}

/** Returns the condition of a run that ended during an evaluation. */
export function stopped({ status }: KubernetesRun): NewCondition | undefined {
  if (conditionOf(status?.conditions, 'Evaluated')?.reason !== REASONS.evaluating) return undefined;
  return condition(
    false,
    REASONS.evaluationStopped,
    'the evaluation was stopped with the run before it ended',
  );
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

function accuracies(
  { spec }: KubernetesRun,
  { samples, modules }: NonNullable<ObservedEvaluation['result']>,
) {
  const each = spec.modules.flatMap(({ name }) => {
    const [accuracy, untrained] = modules[name] ?? [];
    if (accuracy === undefined || untrained === undefined) return [];
    return `${name} ${percent(accuracy)} (untrained ${percent(untrained)})`;
  });
  return `probe accuracy after ${samples} samples: ${each.join(', ')}`;
}
