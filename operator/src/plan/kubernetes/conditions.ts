import type { Condition } from '@greedy-infomax/crds';
import type { ConditionType } from './names.ts';
import { timestamp } from './objects.ts';

/** Conditions as in metav1.Condition. */

export interface NewCondition {
  type: ConditionType;
  status: boolean;
  reason: string;
  message: string;
}

/**
 * `old` with `changes` made. `lastTransitionTime` moves only when a status does, and conditions keep
 * their order, so that nothing new gives nothing to write.
 */
export function withConditions(
  old: readonly Condition[] | undefined,
  changes: readonly NewCondition[],
  { now, generation }: { now: Date; generation: number | undefined },
): Condition[] {
  const conditions = new Map((old ?? []).map((each) => [each.type, each]));
  for (const { type, status, reason, message } of changes) {
    const before = conditions.get(type);
    const text = status ? 'True' : 'False';
    conditions.set(type, {
      type,
      status: text,
      reason: conditionReason(reason),
      message: message.slice(0, 4096),
      lastTransitionTime: before?.status === text ? before.lastTransitionTime : timestamp(now),
      ...(generation !== undefined && { observedGeneration: generation }),
    });
  }
  return [...conditions.values()];
}

export const isTrue = (
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): boolean => conditions?.some((each) => each.type === type && each.status === 'True') ?? false;

export const conditionOf = (
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined => conditions?.find((each) => each.type === type);

/** Reasons come from schedulers and kubelets too; the API takes only some characters in them. */
const conditionReason = (reason: string): string =>
  reason.replace(/[^A-Za-z0-9_,:]/g, '').replace(/^[^A-Za-z]+|[,:]+$/g, '') || 'Unknown';
