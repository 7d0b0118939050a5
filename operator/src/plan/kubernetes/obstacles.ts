import { conditionOf, withConditions } from './conditions.ts';
import { REASONS } from './names.ts';
import type { Cause, KubernetesPlan, KubernetesRun } from './types.ts';

/** An object of another, where one of the run should be. */
export interface TakenName {
  kind: string;
  name: string;
  /** Its controller, if it has one. */
  owner?: { kind: string; name: string };
}

/** Seconds after which to look again: nobody tells when the other goes. */
const LOOK_AGAIN = 10;
/** What is left of an earlier run of the same name is on its way out. */
const LOOK_AGAIN_SOON = 1;

/**
 * What becomes of a plan that could not be carried out, as the name of an object is taken: run `a` with
 * module `b-c` and run `a-b` with module `c` have the same. The run waits, and says for what.
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
