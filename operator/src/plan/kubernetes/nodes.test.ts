import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { lostNode } from './nodes.ts';
import {
  after,
  aPod,
  aReport,
  aRun,
  atWork,
  condition,
  following,
  plan,
  row,
} from './testing/builders.ts';

const SINCE = after(100);
const ready = (status: 'True' | 'False', containers: 'True' | 'False' = 'True') => [
  { type: 'Ready', status, lastTransitionTime: SINCE },
  { type: 'ContainersReady', status: containers },
];

/** A pod on node-1 that runs, as its kubelet last said. */
const aLostPod = (
  conditions: NonNullable<V1Pod['status']>['conditions'] = ready('False'),
  metadata: V1Pod['metadata'] = {},
  spec: Partial<V1Pod['spec']> = {},
): V1Pod => {
  const pod = aPod('first');
  return {
    metadata: { ...pod.metadata, ...metadata },
    spec: { nodeName: 'node-1', containers: [], ...spec },
    status: { ...pod.status, conditions },
  };
};
const UNREACHABLE = { key: 'node.kubernetes.io/unreachable', operator: 'Exists' };

test.each<[string, V1Pod, RegExp]>([
  [
    'the node controller has marked it',
    aLostPod(),
    /^node node-1 does not answer since 2026-01-01T00:01:40Z; Kubernetes evicts pod small-first-0-x at 2026-01-01T00:06:40Z; .*kubectl delete pod small-first-0-x --force$/,
  ],
  [
    'it tolerates that for a minute',
    aLostPod(undefined, {}, { tolerations: [{ ...UNREACHABLE, tolerationSeconds: 60 }] }),
    /evicts pod small-first-0-x at 2026-01-01T00:02:40Z/,
  ],
  [
    'it tolerates that for ever',
    aLostPod(undefined, {}, { tolerations: [UNREACHABLE] }),
    /its pod tolerates that for ever/,
  ],
  [
    'it was evicted and has not ended',
    aLostPod([{ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' }], {
      deletionTimestamp: after(400),
    }),
    /^node node-1 does not answer: pod small-first-0-x, deleted, has not ended; .*--force$/,
  ],
  [
    'it was deleted and is overdue',
    aLostPod(ready('True'), { deletionTimestamp: after(100) }),
    /pod small-first-0-x, deleted, has not ended/,
  ],
])('a pod is lost with its node: %s', (_, pod, message) => {
  expect(lostNode(pod, after(300))).toEqual({
    reason: 'NodeLost',
    message: expect.stringMatching(message),
  });
});

test.each<[string, V1Pod]>([
  ['it is ready', aLostPod(ready('True'))],
  ['its kubelet says that a container is not ready', aLostPod(ready('False', 'False'))],
  [
    'a readiness gate is closed',
    aLostPod(ready('False'), {}, { readinessGates: [{ conditionType: 'x' }] }),
  ],
  ['it ends within its grace period', aLostPod(ready('True'), { deletionTimestamp: after(280) })],
  ['it has ended', { ...aLostPod(), status: { phase: 'Failed', conditions: ready('False') } }],
])('a pod is not lost with its node: %s', (_, pod) => {
  expect(lostNode(pod, after(300))).toBeUndefined();
});

test('a run that lost a node does not train; it names the node once', () => {
  const training = following(aRun(), plan(aRun(), atWork()));
  const reports = ['first', 'second'].map((name) => aReport(name, { at: after(399).getTime() }));
  const observed = { ...atWork(), reports, pods: [aLostPod(), aPod('second')] };
  const lost = plan(training, observed, after(110));
  expect(lost.status.phase).toBe('Pending');
  expect(row(lost, 'first')).toMatchObject({ phase: 'Pending', reason: 'NodeLost' });
  expect(condition(lost, 'Progressing')).toMatchObject({ status: 'False', reason: 'NodeLost' });
  expect(condition(lost, 'Degraded')).toMatchObject({ status: 'True', reason: 'NodeLost' });
  expect(lost.events.map(({ type, reason }) => `${type} ${reason}`)).toEqual(['Warning NodeLost']);
  const pods = [aLostPod(undefined, { deletionTimestamp: after(100) }), aPod('second')];
  const evicted = plan(following(aRun(), lost), { ...observed, pods }, after(400));
  expect(row(evicted, 'first')?.reason).toBe('NodeLost');
  expect(evicted.events).toEqual([]);
});

test('a pod that is to end is looked at again when it is overdue', () => {
  const pods = [aLostPod(ready('True'), { deletionTimestamp: after(10) }), aPod('second')];
  const planned = plan(aRun(), { ...atWork(), pods }, after(5));
  expect(planned.requeueAfterSeconds).toBe(30);
  const lost = plan(aRun(), { jobs: atWork().jobs, pods }, after(20));
  expect(lost.requeueAfterSeconds).toBe(20);
});
