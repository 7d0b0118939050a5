import type { Failure } from '@greedy-infomax/crds';
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
  ended,
  following,
  plan,
  row,
  trained,
} from './testing/builders.ts';
import type { ModuleRow } from './types.ts';

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

test('a training run has ready trainers, figures of each module, and those of the slowest', () => {
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

test.each([
  ['a restart', { restarts: 2 }],
  ['a failure of another pod', { lastFailure: aFailure({ pod: 'small-first-0-z' }) }],
  ['a failure at another time', { lastFailure: aFailure({ time: '2026-01-01T00:00:09Z' }) }],
])('%s is written at once', (_, change) => {
  const { status } = plan(aRun(), atWork());
  const [first, ...others] = status.modules ?? [];
  const failed = { ...first, restarts: 1, lastFailure: aFailure() } as ModuleRow;
  const of = (row: ModuleRow) => ({ ...status, modules: [row, ...others] });
  expect(isUrgent(of(failed), of({ ...failed }))).toBe(false);
  expect(isUrgent(of(failed), of({ ...failed, ...change }))).toBe(true);
});

function aFailure(change: Partial<Failure> = {}): Failure {
  return {
    reason: 'Error',
    message: 'boom',
    time: '2026-01-01T00:00:01Z',
    pod: 'small-first-0-x',
    ...change,
  };
}

/** Status of each condition, by type. */
const conditionsOf = (planned: ReturnType<typeof plan>) =>
  Object.fromEntries(planned.status.conditions?.map(({ type, status }) => [type, status]) ?? []);

test.each<[string, ReturnType<typeof plan>, Record<string, string>]>([
  ['pending', plan(aRun()), { Ready: 'False', Progressing: 'False', Degraded: 'False' }],
  [
    'blocked',
    plan(aRun(), { ...atWork(), pods: [aPod('first'), pending] }),
    { Ready: 'False', Progressing: 'False', Degraded: 'True' },
  ],
  ['at work', plan(aRun(), atWork()), { Ready: 'True', Progressing: 'True', Degraded: 'False' }],
  [
    'complete',
    plan(aRun(), trained()),
    { Ready: 'True', Progressing: 'False', Degraded: 'False', Complete: 'True' },
  ],
  [
    'failed',
    plan(aRun(), { jobs: [ended(aJob('first'), 'Failed')] }),
    { Ready: 'False', Progressing: 'False', Degraded: 'True', Stalled: 'True', Failed: 'True' },
  ],
  ['invalid', plan(aRun({ training: {} })), { Ready: 'False', Stalled: 'True', Failed: 'True' }],
])('conditions of a run that is %s', (_, planned, expected) => {
  expect(conditionsOf(planned)).toMatchObject(expected);
  const { Stalled, Complete, Failed } = conditionsOf(planned);
  expect({ Stalled, Complete, Failed }).toEqual({
    Stalled: undefined,
    Complete: undefined,
    Failed: undefined,
    ...Object.fromEntries(Object.entries(expected).filter(([type]) => /Sta|Com|Fai/.test(type))),
  });
});

test('a run whose changed spec is invalid is stalled until it is mended', () => {
  const training = following(aRun(), plan(aRun(), atWork()));
  const held = plan({ ...aRun({ training: {} }), status: training.status }, atWork(), after(2));
  expect(conditionsOf(held)).toMatchObject({ Stalled: 'True', Progressing: 'False' });
  const mended = plan(following(aRun(), held), atWork(), after(3));
  expect(conditionsOf(mended)).toMatchObject({ Stalled: 'False', Progressing: 'True' });
});

test.each([
  ['complete', trained(), ['Complete', 'Complete']],
  ['failed', { jobs: [ended(aJob('first'), 'Failed'), aJob('second')] }, ['Failed', 'Stopped']],
])(
  'the modules of a run that is %s say the same as the run, now and later',
  (_, observed, phases) => {
    const over = plan(following(aRun(), plan(aRun(), atWork())), observed, after(60));
    const later = plan(following(aRun(), over), {}, after(90));
    for (const planned of [over, later]) {
      expect(planned.status.modules?.map(({ phase }) => phase)).toEqual(phases);
      expect([...planned.moduleStatus.values()].map(({ phase }) => phase)).toEqual(phases);
    }
  },
);

test('the object of a module says why it waits', () => {
  const planned = plan(aRun(), { ...atWork(), pods: [aPod('first'), pending] });
  const type = (each: string) =>
    planned.moduleStatus.get('small-second')?.conditions?.find((c) => c.type === each);
  expect(type('Ready')).toMatchObject({ status: 'False', message: '0 of 1 trainers are ready' });
  expect(type('Progressing')).toMatchObject({ status: 'False', reason: 'Unschedulable' });
  expect(type('Degraded')).toMatchObject({ status: 'True', reason: 'Unschedulable' });
});

test('the rate of the slowest gives a time that people can read, and reports their age', () => {
  const reports = ['first', 'second'].map((name) =>
    aReport(name, { samplesTotal: 3_000_000, at: after(7).getTime() }),
  );
  const { status } = plan(aRun(), { ...atWork(), reports }, after(9));
  expect(status).toMatchObject({ eta: '1d2h', lastReportTime: '2026-01-01T00:00:07Z' });
});
