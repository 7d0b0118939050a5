import type { EventNote } from '../kube/event-recorder.ts';
import type { KubeObject, RunObject } from '../kube/resource.ts';
import type {
  KubernetesPlan,
  KubernetesRun,
  Observed,
  PlannedEvent,
} from '../plan/kubernetes/types.ts';
import type { Children } from './caches.ts';

/**
 * Casts between the types of the planner and of the wire. The planner uses the client library's types, in
 * which some times are dates; here they are the text received as JSON. The planner reads both, and writes
 * text.
 */

export const asRun = (run: RunObject): KubernetesRun => run as unknown as KubernetesRun;

export const asObserved = (children: Children, reports: Observed['reports']): Observed =>
  ({ ...children, reports }) as unknown as Observed;

export const asObjects = (objects: KubernetesPlan['apply']): KubeObject[] =>
  objects as unknown as KubeObject[];

export const asNote = ({ type, reason, message, module }: PlannedEvent): EventNote => ({
  type,
  reason,
  action: reason,
  note: message,
  ...(module && { part: module.name }),
});
