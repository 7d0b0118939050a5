import { expect, test } from 'vitest';
import { lastWords, podFailure } from './failure.ts';
import {
  aFailedPod,
  aJob,
  aPod,
  aReport,
  aRun,
  condition,
  ended,
  plan,
  removed,
  row,
} from './testing/builders.ts';

const POLICY = {
  reason: 'PodFailurePolicy',
  message: 'Container trainer for pod team/small-first-0-x failed with exit code 64',
};

test.each([
  ['nothing', undefined, undefined],
  ['an empty log', ' \n', undefined],
  ['the message of the last JSON line', '{"msg":"a"}\n{"level":60,"msg":"no data"}\n', 'no data'],
  ['the last line of any other log', 'Error: x\n  at y', 'at y'],
  ['a JSON line that was cut off', '{"level":60,"msg":"no da', '{"level":60,"msg":"no da'],
])('last words: %s', (_, log, expected) => {
  expect(lastWords(log)).toBe(expected);
});

test.each([
  [
    'its message and how it ended',
    aFailedPod('first', 64, '{"msg":"no data"}'),
    /^no data \(small-first-0-x: exit code 64, /,
  ],
  ['how it ended, if it left no message', aFailedPod('first', 7), /^small-first-0-x: exit code 7$/],
  [
    'why the kubelet ended it',
    aPod('first', 0, { status: { phase: 'Failed', reason: 'Evicted', message: 'low on memory' } }),
    /Evicted, low on memory/,
  ],
])('a pod that failed is told of by %s', (_, pod, expected) => {
  expect(podFailure(pod)).toMatch(expected);
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
