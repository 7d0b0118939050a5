import { expect, test } from 'vitest';
import { isUrgent } from './status.ts';
import {
  aFailedPod,
  after,
  aJob,
  aModuleObject,
  aPendingPod,
  aPod,
  aReport,
  aRun,
  atWork,
  condition,
  following,
  plan,
  row,
  trained,
} from './testing/builders.ts';

const pending = aPendingPod('second', {
  conditions: [
    { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no GPU is free' },
  ],
});

test.each([
  ['Pending without pods', {}, 'Pending'],
  ['Starting before the first report', { ...atWork(), reports: [] }, 'Starting'],
  ['Starting until each has made a step', { ...atWork(), reports: [aReport('first')] }, 'Starting'],
  ['Training', atWork(), 'Training'],
  [
    'Training while one still does',
    { ...atWork(), reports: [aReport('first'), aReport('second', { phase: 'forwarding' })] },
    'Training',
  ],
  ['Forwarding', atWork('forwarding'), 'Forwarding'],
  [
    'Pending as soon as one pod is, whatever was reported',
    { ...atWork(), pods: [aPod('first'), pending] },
    'Pending',
  ],
])('phase: %s', (_, observed, phase) => {
  expect(plan(aRun(), observed).status.phase).toBe(phase);
});

test('Pending says why, in the words of the scheduler', () => {
  const planned = plan(aRun(), { ...atWork(), pods: [aPod('first'), pending] });
  const message = expect.stringMatching(/^module second: no GPU is free; add nodes that fit/);
  expect(planned.status.message).toEqual(message);
  expect(condition(planned, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'Unschedulable',
    message,
  });
  expect(condition(planned, 'Ready')).toMatchObject({
    status: 'False',
    message: '1/2 trainers are ready; not all of second',
  });
});

test('at work: ready trainers, figures of each module, and those of the slowest for the run', () => {
  const reports = [aReport('first', { samplesTrained: 480 }), aReport('second')];
  const planned = plan(aRun(), { ...atWork(), reports });
  expect(planned.status).toMatchObject({
    ready: '2/2',
    percent: 50,
    etaSeconds: 10,
    startTime: '2026-01-01T00:00:00Z',
    observedGeneration: 1,
  });
  expect(condition(planned, 'Ready')?.status).toBe('True');
  expect(row(planned, 'first')).toMatchObject({ percent: 75, loss: 2.5, samplesPerSecond: 32 });
  expect(planned.moduleStatus.get('small-first')).toMatchObject({ replicas: 1, percent: 75 });
});

test('a module of three is Pending until all three run', () => {
  const modules = [aModuleObject('first', 3)];
  const pods = [aPod('first', 0), aPod('first', 1), aPod('second')];
  const planned = plan(aRun(), { ...atWork(), pods, modules });
  expect(planned.status.ready).toBe('3/4');
  expect(row(planned, 'first')).toMatchObject({ phase: 'Pending', replicas: 3, readyReplicas: 2 });
});

test('a report from before the pod started is not taken for its own', () => {
  const early = { at: after(-1).getTime() };
  const planned = plan(aRun(), {
    ...atWork(),
    reports: [aReport('first', early), aReport('second')],
  });
  expect(row(planned, 'first')?.phase).toBe('Starting');
});

test('a trainer that has gone silent is told of, and looked for in time', () => {
  const run = following(aRun(), plan(aRun(), atWork()));
  expect(plan(run, atWork(), after(20)).requeueAfterSeconds).toBe(30);
  const silent = plan(run, atWork(), after(31));
  expect(silent.status.message).toBe(
    'module first: no report since 2026-01-01T00:00:01Z (and 1 more module)',
  );
});

test('a pod that failed is counted and named while the next one waits', () => {
  const job = { ...aJob('first'), status: { failed: 1 } };
  const planned = plan(aRun(), {
    ...atWork(),
    jobs: [job, aJob('second')],
    pods: [aFailedPod('first', 1, 'boom'), aPod('second')],
  });
  expect(row(planned, 'first')).toMatchObject({
    phase: 'Pending',
    reason: 'Restarting',
    restarts: 1,
  });
});

test('the end keeps what is known of each module', () => {
  const training = following(aRun(), plan(aRun(), atWork()));
  const complete = plan(training, trained(), after(60));
  expect(complete.status).toMatchObject({
    phase: 'Complete',
    ready: '0/0',
    percent: 100,
    completionTime: '2026-01-01T00:01:00Z',
  });
  expect(row(complete, 'first')).toMatchObject({ loss: 2.5, samples: 640 });
  const later = plan(following(aRun(), complete), {}, after(90));
  expect(row(later, 'first')).toMatchObject({ loss: 2.5, samples: 640 });
});

test('a status that settled stays the same, however often it is planned', () => {
  for (const observed of [{}, atWork(), { ...atWork(), pods: [aPod('first'), pending] }]) {
    const first = plan(aRun(), observed);
    expect(plan(following(aRun(), first), observed, after(7)).status).toEqual(first.status);
  }
});

test('other figures can wait to be written, another phase cannot', () => {
  const { status } = plan(aRun(), atWork());
  const faster = plan(aRun(), {
    ...atWork(),
    reports: [aReport('first', { loss: 1 }), aReport('second')],
  });
  expect(isUrgent(status, faster.status)).toBe(false);
  expect(isUrgent(status, plan(aRun(), atWork('forwarding')).status)).toBe(true);
  expect(isUrgent(undefined, status)).toBe(true);
});
