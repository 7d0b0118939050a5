import { conditionOf, withConditions } from './conditions.ts';
import { EVENT_MESSAGE_MAX, REASONS } from './names.ts';
import type { Cause, KubernetesPlan, KubernetesRun } from './types.ts';

/** An object of another, where one of the run should be. */
export interface TakenName {
  kind: string;
  name: string;
  /** Its controller, if it has one. */
  owner?: { kind: string; name: string };
}

/** Seconds until the next attempt: no event reports that the other object is gone. */
const LOOK_AGAIN = 10;
/** Objects of an earlier run of the same name are being deleted. */
const LOOK_AGAIN_SOON = 1;

/**
 * Returns the plan of a run one of whose objects has a name that is taken: run `a` with module `b-c` and run `a-b`
 * with module `c` need the same name. The run waits, and its status names the other owner.
 */
export function withNameTaken(
  run: KubernetesRun,
  plan: KubernetesPlan,
  taken: TakenName,
  now: Date,
): KubernetesPlan {
  const former = taken.owner?.kind === run.kind && taken.owner.name === run.metadata.name;
  const { reason, message } = former ? formerCause(taken) : takenCause(taken);
  const before = conditionOf(run.status?.conditions, 'Progressing');
  const isNew = before?.reason !== reason || before.message !== message;
  const { generation } = run.metadata;
  return {
    ...plan,
    status: {
      ...plan.status,
      phase: 'Pending',
      message,
      conditions: withConditions(
        plan.status.conditions,
        [{ type: 'Progressing', status: false, reason, message }],
        { now, generation },
      ),
    },
    events: isNew && !former ? [{ type: 'Warning', reason, message }] : [],
    requeueAfterSeconds: former ? LOOK_AGAIN_SOON : LOOK_AGAIN,
  };
}

const formerCause = ({ kind, name }: TakenName): Cause => ({
  reason: REASONS.replacing,
  message: `waits for ${kind} ${name} of an earlier run of this name to go`,
});

function takenCause({ kind, name, owner }: TakenName): Cause {
  const whose = owner ? `belongs to ${owner.kind} ${owner.name}` : 'was made by somebody else';
  return {
    reason: REASONS.nameTaken,
    message: `${kind} ${name} ${whose}; give this run another name, or delete the other`,
  };
}

/** An object that the API server does not take, and why, in its own words. */
export interface RefusedObject {
  kind: string;
  name: string;
  why: string;
}

/**
 * Returns the plan of a run one of whose objects the API server refuses, for example for a quota or an invalid
 * affinity. The status quotes the reason; existing objects of the run stay.
 */
export function withRefused(
  run: KubernetesRun,
  plan: KubernetesPlan,
  { kind, name, why }: RefusedObject,
  now: Date,
): KubernetesPlan {
  const reason = REASONS.refused;
  const message = `the API server refuses ${kind} ${name}: ${why}`.slice(0, EVENT_MESSAGE_MAX);
  const before = conditionOf(run.status?.conditions, 'Progressing');
  const isNew = before?.reason !== reason || before.message !== message;
  return {
    ...plan,
    status: {
      ...plan.status,
      message,
      conditions: withConditions(
        plan.status.conditions,
        [{ type: 'Progressing', status: false, reason, message }],
        { now, generation: run.metadata.generation },
      ),
    },
    events: [...plan.events, ...(isNew ? [{ type: 'Warning' as const, reason, message }] : [])],
  };
}
