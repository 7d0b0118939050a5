import {
  checkRun,
  formatPath,
  type Module,
  type ValidationError,
  withoutUnknownFields,
} from '@greedy-infomax/crds';
import type { KubernetesObject, V1Job } from '@kubernetes/client-node';
import { PlanError } from '../budget.ts';
import { releasable, waitsFor } from '../order.ts';
import { planRun, type RunPlan } from '../run.ts';
import { configMap, moduleObject, unusedConfigMaps, wantedReplicas } from './children.ts';
import { formerCleanups, plannedCleanup } from './cleanup.ts';
import { completionOf } from './completion.ts';
import { type EvaluationPlan, evaluationObjects, planEvaluation, stopped } from './evaluation.ts';
import { accuraciesOf, observedEvaluations } from './evaluation-results.ts';
import { transitions } from './events.ts';
import {
  isBeingDeleted,
  isComplete,
  isFailed,
  isOutdated,
  jobWithoutTrainers,
  trainerJob,
} from './jobs.ts';
import {
  hasSpentBudget,
  isFailureKept,
  type ModuleState,
  moduleRow,
  moduleStatuses,
  newestFailure,
} from './module-status.ts';
import { MANAGER, REASONS, SILENT_SECONDS } from './names.ts';
import { plannedCredentials } from './nats-secret.ts';
import { overdueIn } from './nodes.ts';
import { childName, jobRef, ownedBy, refTo } from './objects.ts';
import { podTemplateErrors } from './pod-template-errors.ts';
import { isActive, podsOf } from './pods.ts';
import {
  activeStatus,
  type Ending,
  endedStatus,
  finishedStatus,
  heldStatus,
  isFinished,
} from './status.ts';
import { deadlineCause, deadlineLeft, ttlLeft } from './time-limits.ts';
import type {
  Cause,
  KubernetesPlan,
  KubernetesRun,
  ModuleRow,
  Observed,
  PlanInput,
  RunStatus,
} from './types.ts';

/**
 * Plans the changes to a run's objects and status from what is observed. After the plan is applied, the next plan
 * changes nothing, even if a part of the first was lost.
 */
export function planKubernetes(input: PlanInput): KubernetesPlan {
  const { run, observed, options } = input;
  if (!isOurs(run)) return leaveAlone(run, []);
  // The garbage collector takes what the run owns; streams it does not know of.
  if (run.metadata.deletionTimestamp !== undefined) return leaveAlone(run, null);
  const plan = planTraining(input);
  const hasBegun = plan.apply.length > 0 || run.status?.startTime !== undefined;
  if (!hasBegun) return plan;
  const cleanup = plannedCleanup(run, observed.jobs, options);
  return {
    ...plan,
    apply: [...plan.apply, ...cleanup.apply],
    remove: [...plan.remove, ...cleanup.remove],
  };
}

/** The plan without the clean-up after the run. */
function planTraining(input: PlanInput): KubernetesPlan {
  const { run, now } = input;
  const observed = own(run, input.observed);
  const isFolderInUse = formerCleanups(input.observed.jobs, run).length > 0;
  const evaluations = observedEvaluations(run, observed, now);
  const accuracies = accuraciesOf(evaluations);
  const states: ModuleState[] = [];
  const rows: ModuleRow[] = [];
  for (const module of run.spec.modules) {
    const state = moduleState(module, { ...input, observed });
    const earlier = rows.map((row) => ({ name: row.name, spent: hasSpentBudget(row) }));
    states.push({
      ...state,
      accuracy: accuracies.get(module.name),
      // One that has begun goes on when a pod of an earlier one is replaced.
      ...(state.job === undefined && {
        waitsFor: waitsFor(run.spec.order, earlier),
        isFolderInUse,
      }),
    });
    rows.push(moduleRow(states.at(-1) as ModuleState));
  }
  const evaluation = planEvaluation(run, evaluations, rows);
  const released = run.spec.modules.map(({ name }) => name);
  const withStatus = (status: RunStatus) => ({
    moduleStatus: moduleStatuses(states, rows, status),
    status,
    events: transitions(run.status, status),
  });
  const end = (ending: Ending, condition = evaluation.condition): KubernetesPlan => {
    const status = endedStatus(run, rows, ending, { ...evaluation, condition }, now);
    return { ...finish({ ...run, status }, observed.jobs, now), released, ...withStatus(status) };
  };
  const fail = (cause: Cause) => end({ type: 'Failed', ...cause }, unlessUnderWay(run, evaluation));

  if (isFinished(run.status)) {
    const status = finishedStatus(run, rows);
    return { ...finish(run, observed.jobs, now), released, ...withStatus(status) };
  }
  const failed = rows.find(({ phase }) => phase === 'Failed');
  if (failed) {
    const { reason = REASONS.moduleFailed, message = `module ${failed.name} failed` } = failed;
    return fail({ reason, message });
  }
  const left = run.spec.suspend ? undefined : deadlineLeft(run, now);
  const late = left !== undefined && left <= 0;
  const trained = rows.every(({ phase }) => phase === 'Complete');
  if (trained && (late || !evaluation.pending)) {
    const message = `all ${rows.length} modules have spent their budget`;
    const ending: Ending = { type: 'Complete', reason: REASONS.complete, message };
    if (!evaluation.pending) return end(ending);
    return end(ending, { type: 'Evaluated', status: false, ...deadlineCause(run) });
  }
  if (late) return fail(deadlineCause(run));

  const stillNeeded = releasable(
    released,
    new Set(rows.filter(hasSpentBudget).map(({ name }) => name)),
  );
  const resolved = resolve(input, states);
  if ('error' in resolved) {
    const message = resolved.error;
    if (!run.status?.startTime) return fail({ reason: REASONS.invalid, message });
    const status = heldStatus(run, message, now);
    return { ...leaveAlone(run, []), released: stillNeeded, ...withStatus(status) };
  }
  const activePods = states.flatMap(({ pods }) => pods).filter(isActive).length;
  const waits = [
    left,
    ...overdueIn(
      states.flatMap(({ pods }) => pods),
      now,
    ),
    ...(rows.some(({ phase }) => AT_WORK.has(phase)) ? [SILENT_SECONDS * 1000] : []),
    ...(states.every(isFailureKept) ? [] : [0]),
  ].filter((wait) => wait !== undefined);
  return {
    ...children(input, observed, states, resolved.plan, evaluation),
    streams: trained ? null : streamsOf(resolved.plan),
    credentials: plannedCredentials(run, resolved.plan.streams, observed, input.options),
    released: stillNeeded,
    ...withStatus(
      activeStatus({
        run,
        rows,
        activePods,
        evaluation,
        reports: observed.reports,
        nats: observed.nats,
        now,
      }),
    ),
    ...(waits.length > 0 && { requeueAfterSeconds: Math.min(...waits) / 1000 }),
  };
}

/** Phases with reports from trainers. */
const AT_WORK: ReadonlySet<string> = new Set(['Starting', 'Training', 'Forwarding']);

/** Reports whether the run is this operator's and not another controller's. */
export const isOurs = ({ spec }: KubernetesRun): boolean =>
  spec.managedBy === undefined || spec.managedBy === MANAGER;

const leaveAlone = (run: KubernetesRun, streams: KubernetesPlan['streams']): KubernetesPlan => ({
  apply: [],
  remove: [],
  streams,
  status: run.status ?? {},
  moduleStatus: new Map(),
  events: [],
  released: [],
});

/** Without what an earlier run of the same name has left. */
const own = (run: KubernetesRun, observed: Observed): Observed => {
  const mine = (object: KubernetesObject) => ownedBy(run.metadata.uid, object);
  const jobs = observed.jobs.filter(mine);
  return {
    ...observed,
    modules: observed.modules.filter(mine),
    configMaps: observed.configMaps.filter(mine),
    jobs,
    pods: jobs.flatMap((job) => podsOf(observed.pods, job)),
  };
};

function moduleState(
  module: Module,
  { run, observed, now }: PlanInput,
): Omit<ModuleState, 'accuracy'> {
  const { name } = module;
  const child = childName(run.metadata.name, name);
  const job = observed.jobs.find(({ metadata }) => metadata?.name === child);
  const object = observed.modules.find(({ metadata }) => metadata?.name === child);
  const wanted = wantedReplicas(module, object);
  const pods = podsOf(observed.pods, job);
  const reports = observed.reports.filter((report) => report.module === name);
  const completion = completionOf({ run, name, wanted, job, pods, reports });
  const old = run.status?.modules?.find((row) => row.name === name);
  return {
    run,
    name,
    wanted,
    job,
    object,
    pods,
    reports,
    warnings: observed.warnings ?? new Map(),
    natsAway: observed.nats?.reason === REASONS.natsAway,
    completion,
    failure: newestFailure({ run, pods, reports, completion, old }),
    old,
    now,
  };
}

/** A finished run keeps the Jobs that have ended, for their logs, until its time is over. */
function finish(run: KubernetesRun, jobs: readonly V1Job[], now: Date) {
  const ttl = ttlLeft(run, now);
  const atWork = jobs.filter((job) => !isComplete(job) && !isFailed(job) && !isBeingDeleted(job));
  return {
    apply: [],
    remove:
      ttl !== undefined && ttl <= 0 ? [refTo(run.apiVersion, run.kind, run)] : atWork.map(jobRef),
    streams: null,
    ...(ttl !== undefined && ttl > 0 && { requeueAfterSeconds: ttl / 1000 }),
  };
}

/** Returns the evaluation condition of a run that fails: a running evaluation ends with it. */
const unlessUnderWay = (run: KubernetesRun, { target, condition }: EvaluationPlan) =>
  target ? stopped(run) : condition;

type Resolved = { plan: RunPlan } | { error: string };

/** The last resolution of each spec: a status or a pod that changes leaves the spec the same object. */
const resolutions = new WeakMap<object, { key: string; resolved: Resolved }>();

/** The run with all defaults, or its validation errors. */
function resolve({ run, options }: PlanInput, states: readonly ModuleState[]): Resolved {
  const { apiVersion, kind, metadata, spec } = run;
  const { namespace, uid, name } = metadata;
  const { dataSetSize } = options;
  const wanted = new Map(states.map((state) => [state.name, state.wanted]));
  const key = JSON.stringify([apiVersion, kind, name, namespace, uid, dataSetSize, ...wanted]);
  const known = resolutions.get(spec);
  if (known?.key === key) return known.resolved;
  const asked = { apiVersion, kind, metadata: { name }, spec };
  const replicas = (module: string) => wanted.get(module) ?? 1;
  const planOptions = { namespace, uid, dataSetSize, replicas, storage: true };
  const valid = resolveAnew(asked, planOptions);
  const refused = 'plan' in valid ? podTemplateErrors(run, options) : [];
  const resolved = refused.length > 0 ? { error: refused.join('; ') } : valid;
  resolutions.set(spec, { key, resolved });
  return resolved;
}

function resolveAnew(asked: object, options: Parameters<typeof planRun>[1]): Resolved {
  const strictly = checkRun(asked);
  const checked = strictly.run ? strictly : checkRun(withoutUnknownFields(asked));
  if (!checked.run) return { error: errorsText(checked.errors, checked.omitted) };
  try {
    return { plan: planRun(checked.run, options) };
  } catch (error) {
    if (error instanceof PlanError) return { error: error.message };
    throw error;
  }
}

/** Maximum number of validation errors in a status, and of characters in all. */
const ERRORS_MAX = 10;
const TEXT_MAX = 2000;

function errorsText(errors: readonly ValidationError[], omitted: number): string {
  const shown = errors.slice(0, ERRORS_MAX);
  const more = errors.length - shown.length + omitted;
  const each = shown.map(({ path, message }) => `${formatPath(path)} ${message}`).join('; ');
  return `${each.slice(0, TEXT_MAX)}${more > 0 ? `; and ${more} more errors` : ''}`;
}

/** The bucket comes last: a server without file storage refuses it. */
const streamsOf = ({ streams, state, bucket }: RunPlan): KubernetesPlan['streams'] => [
  ...streams,
  state,
  ...(bucket ? [bucket] : []),
];

/** The objects of a run that goes on. */
function children(
  { run, options }: PlanInput,
  observed: Observed,
  states: readonly ModuleState[],
  { modules: configs }: RunPlan,
  evaluation: EvaluationPlan,
): Pick<KubernetesPlan, 'apply' | 'remove'> {
  const configMaps = configs.map((config) => configMap(run, config));
  const plan: Pick<KubernetesPlan, 'apply' | 'remove'> = {
    apply: [
      ...run.spec.modules.map((module, index) => moduleObject(run, module, index)),
      ...configMaps,
    ],
    remove: unusedConfigMaps(observed.configMaps, configMaps, observed.jobs),
  };
  for (const [i, state] of states.entries()) {
    const { job, wanted, old, waitsFor, isFolderInUse, completion } = state;
    // The Job is the only evidence of a failure, so it stays until status has the failure.
    const removal = job && isFailureKept(state) ? [jobRef(job)] : [];
    // A module that is complete stays so, even if its Job is deleted.
    if (completion?.proven || old?.phase === 'Complete') continue;
    if (waitsFor !== undefined || isFolderInUse) continue;
    // Its name is taken until its last pod has ended.
    if (isBeingDeleted(job)) continue;
    if (completion?.proven === false) {
      // An index that succeeded never runs again, so another Job takes its place.
      plan.remove.push(...removal);
      continue;
    }
    // The pods have succeeded, but have not been seen to.
    if (isComplete(job)) continue;
    const planned = trainerJob({
      run,
      module: run.spec.modules[i] as Module,
      configMapName: configMaps[i]?.metadata?.name ?? '',
      replicas: wanted,
      suspend: run.spec.suspend,
      options,
      observed: job,
    });
    const idle = run.spec.suspend || wanted === 0;
    const removed = idle && jobWithoutTrainers(run) === 'remove';
    if (removed || (job && isOutdated(job, planned))) plan.remove.push(...removal);
    else plan.apply.push(planned);
  }
  const evaluationChanges = evaluationObjects(run, evaluation, configs, configMaps, options);
  return {
    apply: [...plan.apply, ...evaluationChanges.apply],
    remove: [...plan.remove, ...evaluationChanges.remove],
  };
}
