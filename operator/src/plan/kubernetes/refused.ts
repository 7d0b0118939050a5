import { conditionOf, withConditions } from './conditions.ts';
import { EVENT_MESSAGE_MAX, REASONS } from './names.ts';
import type { KubernetesPlan, KubernetesRun } from './types.ts';

/** An object that the API server does not take, and why, in its own words. */
export interface RefusedObject {
  kind: string;
  name: string;
  why: string;
}

/**
 * What becomes of a plan when the API server refuses an object of it, as when a quota is used up or an
 * affinity makes no sense. Whoever looks at the run reads why; what is there of the run goes on.
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
