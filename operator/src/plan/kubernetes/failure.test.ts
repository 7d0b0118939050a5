import type { V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { errorLine, failureOf, podFailure } from './failure.ts';
import {
  aFailedPod,
  after,
  aJob,
  aPod,
  aReport,
  aRun,
  atWork,
  condition,
  containerStatus,
  ended,
  following,
  plan,
  removed,
  row,
  START,
} from './testing/builders.ts';

const POLICY = {
  reason: 'PodFailurePolicy',
  message: 'Container trainer for pod team/small-first-0-x failed with exit code 64',
};
const ONE_DNN =
  '2026-01-01 00:00:01.5: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on. To turn them off, set `TF_ENABLE_ONEDNN_OPTS=0`.';

test.each([
  ['nothing', undefined, undefined],
  ['an empty log', ' \n', undefined],
  ['the message of the last JSON line', '{"msg":"a"}\n{"level":60,"msg":"no data"}\n', 'no data'],
  [
    'the error before what was logged after it',
    '{"level":60,"msg":"no data"}\n{"level":30,"msg":"bye"}',
    'no data',
  ],
  ['the last line of any other log', 'Error: x\n  at y', 'at y'],
  ['a JSON line that was cut off', '{"level":60,"msg":"no da', '{"level":60,"msg":"no da'],
  ['what comes before the lines of TensorFlow', `{"level":30,"msg":"phase"}\n${ONE_DNN}`, 'phase'],
  ['nothing but the lines of TensorFlow', ONE_DNN, undefined],
])('the error in a log is %s', (_, log, expected) => {
  expect(errorLine(log)).toBe(expected);
});

/** A pod on node-1 whose trainer ended so. */
const endedPod = (
  terminated: { exitCode: number; reason?: string; message?: string },
  status: Partial<V1Pod['status']> = {},
): V1Pod => ({
  ...aPod('first', 0, {
    status: {
      phase: 'Failed',
      containerStatuses: [
        containerStatus({ terminated: { startedAt: START, finishedAt: after(9), ...terminated } }),
      ],
      ...status,
    },
  }),
  spec: {
    nodeName: 'node-1',
    containers: [{ name: 'trainer', resources: { limits: { memory: '512Mi' } } }],
  },
});
const disrupted = (reason: string, message: string) => ({
  conditions: [
    { type: 'DisruptionTarget', status: 'True', reason, message, lastTransitionTime: after(5) },
  ],
});
const OOM =
  'the kernel killed it for exceeding its memory limit of 512Mi; raise resources.limits.memory';

test.each<[string, V1Pod, string, string | RegExp]>([
  ['memory', endedPod({ exitCode: 137, reason: 'OOMKilled', message: ONE_DNN }), 'OOMKilled', OOM],
  ['memory of a child', endedPod({ exitCode: 0, reason: 'OOMKilled' }), 'OOMKilled', OOM],
  [
    'memory, as a wrapper says',
    endedPod({ exitCode: 1, message: 'memory cgroup out of memory: Killed process 7 (node)' }),
    'OOMKilled',
    OOM,
  ],
  ['SIGKILL', endedPod({ exitCode: 137, message: ONE_DNN }), 'Killed', /^SIGKILL ended it/],
  [
    'its own error',
    endedPod({
      exitCode: 1,
      reason: 'Error',
      message: '{"outcome":"failed","message":"two\\nlines"}',
    }),
    'Error',
    'two\nlines',
  ],
  ['a configuration', endedPod({ exitCode: 64 }), 'ConfigurationError', /cannot work/],
  ['a loss', endedPod({ exitCode: 65, message: 'loss is NaN' }), 'Diverged', 'loss is NaN'],
  [
    'no word',
    endedPod({ exitCode: 0 }, { phase: 'Succeeded' }),
    'NoEvidence',
    /exit code 0.*no proof/,
  ],
  [
    'its start',
    endedPod({ exitCode: 128, reason: 'StartError', message: 'exec: "node": not found' }),
    'StartError',
    'exec: "node": not found',
  ],
  [
    'an eviction',
    endedPod({ exitCode: 137 }, { reason: 'Evicted', message: 'low on ephemeral-storage' }),
    'Evicted',
    'low on ephemeral-storage',
  ],
  [
    'a preemption',
    endedPod({ exitCode: 2 }, disrupted('PreemptionByScheduler', 'preempted by pod 7')),
    'PreemptionByScheduler',
    'preempted by pod 7',
  ],
  [
    'an init container',
    endedPod(
      { exitCode: 0 },
      {
        containerStatuses: [],
        initContainerStatuses: [
          {
            ...containerStatus({ terminated: { exitCode: 3, message: 'no route to host' } }),
            name: 'fetch',
          },
        ],
      },
    ),
    'InitContainerFailed',
    'init container fetch ended with exit code 3: no route to host',
  ],
])('a pod fails by %s', (_, pod, reason, message) => {
  const failure = failureOf(pod);
  expect(failure).toMatchObject({ reason, pod: 'small-first-0-x', node: 'node-1' });
  if (message instanceof RegExp) expect(failure.message).toMatch(message);
  else expect(failure.message).toBe(message);
});

test('a failure has its exit code and the time it ended', () => {
  expect(failureOf(endedPod({ exitCode: 7 }))).toMatchObject({
    exitCode: 7,
    time: '2026-01-01T00:00:09Z',
  });
});

test.each([
  [
    'its message',
    aFailedPod('first', 64, '{"msg":"no data"}'),
    'no data (small-first-0-x: exit code 64)',
  ],
  [
    'its exit code, if it left no message',
    aFailedPod('first', 7),
    'it left no message (small-first-0-x: exit code 7)',
  ],
  [
    'why the kubelet ended it',
    aPod('first', 0, { status: { phase: 'Failed', reason: 'Evicted', message: 'low on memory' } }),
    'low on memory (small-first-0-x)',
  ],
])('one sentence about a pod that failed: %s', (_, pod, expected) => {
  expect(podFailure(pod)).toBe(expected);
});

test('a failure is told of once, stays when the next trainer works, and counts', () => {
  const training = following(aRun(), plan(aRun(), atWork()));
  const job = { ...aJob('first'), status: { failed: 1 } };
  const failed = { exitCode: 137, reason: 'OOMKilled' };
  const jobs = [job, aJob('second')];
  const down = plan(
    training,
    { ...atWork(), jobs, pods: [endedPod(failed), aPod('second')] },
    after(10),
  );
  const lastFailure = {
    reason: 'OOMKilled',
    message: OOM,
    exitCode: 137,
    time: '2026-01-01T00:00:09Z',
    pod: 'small-first-0-x',
    node: 'node-1',
  };
  expect(row(down, 'first')).toMatchObject({ phase: 'Pending', restarts: 1, lastFailure });
  expect(down.status).toMatchObject({
    restarts: 1,
    lastFailure: { ...lastFailure, module: 'first' },
  });
  expect(condition(down, 'Degraded')).toMatchObject({ status: 'True', reason: 'OOMKilled' });
  expect(down.events).toEqual([
    expect.objectContaining({
      type: 'Warning',
      reason: 'OOMKilled',
      message: `module first: ${OOM} (small-first-0-x)`,
      module: { name: 'first', message: `${OOM} (small-first-0-x)` },
    }),
  ]);

  const next = aPod('first', 0, {
    metadata: { name: 'small-first-0-y', creationTimestamp: after(10) },
  });
  const up = plan(
    following(aRun(), down),
    { ...atWork(), jobs, pods: [endedPod(failed), next, aPod('second')] },
    after(20),
  );
  expect(row(up, 'first')).toMatchObject({ phase: 'Training', restarts: 1, lastFailure });
  expect(condition(up, 'Degraded')).toMatchObject({ status: 'False' });
  expect(up.events.filter(({ type }) => type === 'Warning')).toEqual([]);
  const later = plan(
    following(aRun(), up),
    { ...atWork(), pods: [next, aPod('second')] },
    after(25),
  );
  expect(later.status.lastFailure).toMatchObject({ reason: 'OOMKilled', module: 'first' });
});

test.each([
  ['a stop', endedPod({ exitCode: 2 }), aRun()],
  ['a suspension', endedPod({ exitCode: 137 }), aRun({ suspend: true })],
])('%s is no failure', (_, pod, run) => {
  const planned = plan(run, { ...atWork(), pods: [pod, aPod('second')] }, after(10));
  expect(planned.status.lastFailure).toBeUndefined();
});

test('a final failure is told of by the end of the run alone', () => {
  const training = following(aRun(), plan(aRun(), atWork()));
  const pods = [aFailedPod('first', 64, 'no data'), aPod('second')];
  const seen = plan(training, { ...atWork(), pods }, after(2));
  expect(row(seen, 'first')).toMatchObject({ phase: 'Pending', reason: 'TrainerFailing' });
  expect(seen.events).toEqual([]);
  const jobs = [ended(aJob('first'), 'Failed', POLICY), aJob('second')];
  const over = plan(following(aRun(), seen), { ...atWork(), jobs, pods }, after(3));
  expect(over.events.map(({ reason }) => reason)).toEqual(['ModuleFailed']);
});

test('a module whose Job failed fails the run, in the words of its trainer', () => {
  const jobs = [ended(aJob('first'), 'Failed', POLICY), aJob('second')];
  const pods = [aFailedPod('first', 64, '{"msg":"no folder /data"}'), aPod('second')];
  const planned = plan(aRun(), { jobs, pods });
  expect(planned.status.phase).toBe('Failed');
  expect(condition(planned, 'Failed')).toMatchObject({
    status: 'True',
    reason: 'ModuleFailed',
    message: expect.stringMatching(/^module first: no folder \/data .*exit code 64/),
  });
  expect(row(planned, 'second')).toMatchObject({ phase: 'Stopped', replicas: 0 });
});

test('what a trainer reported before it failed is preferred to the end of its log', () => {
  const pods = [aFailedPod('first', 65, 'cut off')];
  const reports = [aReport('first', { phase: 'failed', message: 'loss is NaN at step 7' })];
  const planned = plan(aRun(), { jobs: [ended(aJob('first'), 'Failed', POLICY)], pods, reports });
  expect(condition(planned, 'Failed')?.message).toMatch(/loss is NaN at step 7/);
});

test('without a pod the Job itself says why', () => {
  const planned = plan(aRun(), { jobs: [ended(aJob('first'), 'Failed', POLICY)] });
  expect(condition(planned, 'Failed')?.message).toBe(`module first: ${POLICY.message}`);
});

test('the Job that failed stays for its log, the others end', () => {
  const jobs = [ended(aJob('first'), 'Failed', POLICY), aJob('second')];
  expect(removed(plan(aRun(), { jobs }))).toEqual(['Job/small-second']);
});
