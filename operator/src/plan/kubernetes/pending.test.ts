import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { pendingCause } from './pending.ts';
import {
  aFailedPod,
  after,
  aJob,
  aPendingPod,
  aPod,
  containerStatus,
  START,
} from './testing/builders.ts';
import type { Warning } from './types.ts';

const NOW = after(600);
const SCHEDULED = { type: 'PodScheduled', status: 'True', lastTransitionTime: after(10) };
const PREPARED = {
  type: 'PodReadyToStartContainers',
  status: 'True',
  lastTransitionTime: after(20),
};

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
  conditions: [SCHEDULED],
  containerStatuses: [containerStatus({ waiting: { reason, message } })],
});
const creating = (...conditions: NonNullable<V1Pod['status']>['conditions'] & object) => ({
  ...waiting('ContainerCreating'),
  conditions: [SCHEDULED, ...conditions],
});
const POD = 'Pod/small-first-0-x';
const warnings = (about: string, at: number, reason: string, message: string, uid?: string) =>
  new Map<string, Warning[]>([
    [about, [{ reason, message, at: after(at).getTime(), ...(uid && { uid }) }]],
  ]);
const quota = (at: number, uid?: string) =>
  warnings('Job/small-first', at, 'FailedCreate', 'exceeded quota: gpus', uid);
const mount = (at: number, uid?: string) =>
  warnings(POD, at, 'FailedMount', 'claim "data" not found', uid);

const job = aJob('first');
const suspended = { ...job, spec: { ...job.spec, suspend: true } } as typeof job;
const deleting = { ...job, metadata: { ...job.metadata, deletionTimestamp: START } };
const onNode = (pod: V1Pod): V1Pod => ({
  ...pod,
  metadata: { ...pod.metadata, uid: 'pod-1' },
  spec: { nodeName: 'node-1', containers: [{ name: 'trainer', image: 'trainer:7' }] },
});

const causeOf = (input: Partial<Parameters<typeof pendingCause>[0]>) =>
  pendingCause({ job, pod: undefined, warnings: new Map(), now: NOW, ...input });

test.each([
  [
    'the scheduler',
    { pod: aPendingPod('first', unschedulable) },
    'Unschedulable',
    /^0\/3 nodes are available: 3 Insufficient nvidia.com\/gpu; add nodes that fit/,
  ],
  [
    'a scheduler that has not seen it',
    { pod: aPendingPod('first', {}) },
    'PodPending',
    /^pod small-first-0-x waits for scheduler default-scheduler$/,
  ],
  [
    'an image that cannot be pulled',
    { pod: aPendingPod('first', waiting('ImagePullBackOff', 'Back-off pulling image "x"')) },
    'ImagePullBackOff',
    /^Back-off pulling image "x"; check podTemplate.image/,
  ],
  [
    'a Secret that is not there',
    { pod: aPendingPod('first', waiting('CreateContainerConfigError', 'secret "s" not found')) },
    'CreateContainerConfigError',
    /^secret "s" not found; create the Secret/,
  ],
  [
    'a volume that cannot be mounted',
    { pod: aPendingPod('first', creating()), warnings: mount(11) },
    'FailedMount',
    /^claim "data" not found; check the claim/,
  ],
  [
    'volumes and network',
    { pod: onNode(aPendingPod('first', creating())) },
    'ContainerCreating',
    /^volumes and network of pod small-first-0-x are being set up on node node-1 since 2026-01-01T00:00:10Z$/,
  ],
  [
    'an image that is being pulled',
    { pod: onNode(aPendingPod('first', creating(PREPARED))) },
    'PullingImage',
    /^image trainer:1 is being pulled on node node-1 since 2026-01-01T00:00:20Z$/,
  ],
  [
    'an init container',
    {
      pod: aPendingPod('first', {
        ...creating(PREPARED),
        initContainerStatuses: [
          { ...containerStatus({ running: { startedAt: after(30) } }), name: 'fetch' },
        ],
      }),
    },
    'PodInitializing',
    /^init container fetch of pod small-first-0-x runs since 2026-01-01T00:00:30Z$/,
  ],
  ['a quota', { warnings: quota(5) }, 'FailedCreate', /^exceeded quota: gpus; free what the quota/],
  ['the queue', { job: suspended, queue: 'gpus' }, 'Queued', /^waits for queue gpus to admit it$/],
  ['the Job controller', {}, 'PodsNotCreated', /^its pod is not there yet$/],
  [
    'its failed predecessor',
    { pod: aFailedPod('first', 1, 'boom') },
    'Restarting',
    /^starts again after boom \(small-first-0-x: exit code 1\)$/,
  ],
  [
    'a failure that is final',
    { pod: aFailedPod('first', 64, '{"level":60,"msg":"no data"}') },
    'TrainerFailing',
    /^no data \(small-first-0-x: exit code 64\)$/,
  ],
  [
    'a quota since its predecessor failed',
    { pod: aFailedPod('first', 1, 'boom'), warnings: quota(2) },
    'FailedCreate',
    /^exceeded quota: gpus;/,
  ],
  [
    'its Job that is being replaced',
    { job: deleting, pod: aPod('first') },
    'Replacing',
    /^waits for its former pod to end$/,
  ],
  [
    'its predecessor that has not ended',
    { pod: aPod('first', 0, { metadata: { deletionTimestamp: after(590) } }) },
    'Replacing',
    /^waits for its former pod to end$/,
  ],
])('a trainer is blocked by %s', (_, input, reason, message) => {
  expect(causeOf(input)).toEqual({ reason, message: expect.stringMatching(message) });
});

test.each<[string, Parameters<typeof causeOf>[0], string]>([
  [
    'FailedScheduling, once the pod is scheduled',
    {
      pod: aPendingPod('first', creating(PREPARED)),
      warnings: warnings(POD, 30, 'FailedScheduling', 'no nodes available'),
    },
    'PullingImage',
  ],
  [
    'FailedMount, once the volumes are mounted',
    { pod: aPendingPod('first', creating(PREPARED)), warnings: mount(15) },
    'PullingImage',
  ],
  [
    'FailedMount from before the pod was scheduled',
    { pod: aPendingPod('first', creating()), warnings: mount(9) },
    'ContainerCreating',
  ],
  [
    'FailedMount of an earlier pod of the same name',
    { pod: onNode(aPendingPod('first', creating())), warnings: mount(15, 'pod-0') },
    'ContainerCreating',
  ],
  [
    'Unhealthy of a startup probe',
    {
      pod: aPendingPod('first', creating()),
      warnings: warnings(POD, 15, 'Unhealthy', 'Startup probe failed:'),
    },
    'ContainerCreating',
  ],
  [
    'FailedCreate from before the pod failed',
    { pod: aFailedPod('first', 1, 'boom'), warnings: quota(-60) },
    'Restarting',
  ],
  [
    'FailedCreate of an earlier Job of the same name',
    { warnings: quota(5, 'job-0') },
    'PodsNotCreated',
  ],
  [
    'FailedCreate, while a pod is there',
    { pod: aPendingPod('first', unschedulable), warnings: quota(5) },
    'Unschedulable',
  ],
])('an event does not explain what came after it: %s', (_, input, reason) => {
  expect(causeOf(input)?.reason).toBe(reason);
});

test.each([
  [
    'with exit code 0',
    0,
    /^its trainer has ended; container istio-proxy keeps pod small-first-0-x; /,
  ],
  ['with an error', 1, /^boom; container istio-proxy keeps pod small-first-0-x; /],
])('a sidecar that keeps the pod of a trainer that ended %s is named', (_, exitCode, message) => {
  const terminated = { exitCode, message: 'boom', startedAt: START, finishedAt: after(1) };
  const pod = aPod('first', 0, {
    status: {
      phase: 'Running',
      conditions: [SCHEDULED],
      containerStatuses: [
        containerStatus({ terminated }),
        { ...containerStatus({ running: { startedAt: START } }), name: 'istio-proxy' },
      ],
    },
  });
  const unhealthy = warnings(POD, 60, 'Unhealthy', 'Startup probe failed:');
  const cause = causeOf({ pod, warnings: unhealthy });
  expect(cause?.reason).toBe('SidecarKeepsPod');
  expect(cause?.message).toMatch(message);
  expect(cause?.message).toMatch(/init container with restartPolicy: Always/);
});

test('a trainer that runs or has ended well is not blocked', () => {
  const succeeded = aPod('first', 0, { status: { phase: 'Succeeded' } });
  for (const pod of [aPod('first'), succeeded]) expect(causeOf({ pod })).toBeUndefined();
});
