import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { pendingCause } from './pending.ts';
import { aFailedPod, aJob, aPendingPod, aPod, containerStatus, START } from './testing/builders.ts';

const unschedulable: V1Pod['status'] = {
  conditions: [
    {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
    },
  ],
};
const waiting = (reason: string, message?: string): V1Pod['status'] => ({
  containerStatuses: [containerStatus({ waiting: { reason, message } })],
});
const job = aJob('first');
const suspended = { ...job, spec: { ...job.spec, suspend: true } } as typeof job;
const deleting = { ...job, metadata: { ...job.metadata, deletionTimestamp: START } };
const quota = { reason: 'FailedCreate', message: 'exceeded quota: gpus' };
const mount = { reason: 'FailedMount', message: 'claim "data" not found' };
const none = new Map();

test.each([
  [
    'the scheduler',
    { pod: aPendingPod('first', unschedulable) },
    'Unschedulable',
    '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
  ],
  [
    'the kubelet that cannot pull',
    { pod: aPendingPod('first', waiting('ImagePullBackOff', 'Back-off pulling image "x"')) },
    'ImagePullBackOff',
    'Back-off pulling image "x"',
  ],
  [
    'the kubelet that cannot mount',
    {
      pod: aPendingPod('first', waiting('ContainerCreating')),
      warnings: new Map([['Pod/small-first-0-x', mount]]),
    },
    mount.reason,
    mount.message,
  ],
  [
    'nobody yet',
    { pod: aPendingPod('first', waiting('ContainerCreating')) },
    'ContainerCreating',
    'pod small-first-0-x is being made ready',
  ],
  ['a quota', { warnings: new Map([['Job/small-first', quota]]) }, quota.reason, quota.message],
  ['the queue', { job: suspended, queue: 'gpus' }, 'Queued', 'waits for queue gpus to admit it'],
  ['the Job controller', {}, 'PodsNotCreated', 'its pod is not there yet'],
  [
    'its failed predecessor',
    { pod: aFailedPod('first', 1, 'boom') },
    'Restarting',
    'starts again after boom (small-first-0-x: exit code 1)',
  ],
  [
    'its Job that is being replaced',
    { job: deleting, pod: aPod('first') },
    'Replacing',
    'waits for its former pod to end',
  ],
  [
    'its predecessor that has not ended',
    { pod: aPod('first', 0, { metadata: { deletionTimestamp: START } }) },
    'Replacing',
    'waits for its former pod to end',
  ],
])('a trainer is held up by %s', (_, input, reason, message) => {
  const cause = pendingCause({ job, pod: undefined, warnings: none, ...input });
  expect(cause).toEqual({ reason, message });
});

test('a trainer that runs or has ended well is not held up', () => {
  const succeeded = aPod('first', 0, { status: { phase: 'Succeeded' } });
  for (const pod of [aPod('first'), succeeded]) {
    expect(pendingCause({ job, pod, warnings: none })).toBeUndefined();
  }
});
