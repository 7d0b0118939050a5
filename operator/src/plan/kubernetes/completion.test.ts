import { encodeTrainerEnding, type TrainedEnding } from '@greedy-infomax/crds';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { isUrgent } from './status.ts';
import {
  aDonePod,
  aFailedPod,
  after,
  aJob,
  aModuleObject,
  anEnding,
  aPod,
  applied,
  aReport,
  aRun,
  containerStatus,
  ended,
  following,
  plan,
  removed,
  row,
  START,
  trained,
} from './testing/builders.ts';

/** Completion of a module, and of one whose Job alone claims it. */

const word = (change: Partial<TrainedEnding>) => encodeTrainerEnding(anEnding('first', change));
const done = (job = aJob('first')): V1Job => ended(job, 'Complete');
const withFirst = (pods: V1Pod[], job = done()) => ({
  jobs: [job, aJob('second')],
  pods: [...pods, aPod('second')],
});

test('a module is complete by the word of its trainer, whose figures it has', () => {
  const planned = plan(aRun(), trained());
  expect(planned.status.phase).toBe('Complete');
  expect(row(planned, 'first')).toMatchObject({
    phase: 'Complete',
    samples: 640,
    step: 20,
    checkpointStep: 20,
    percent: 100,
  });
  expect(planned.events).toContainEqual(
    expect.objectContaining({
      reason: 'ModuleComplete',
      message: 'module first: complete after 640 samples',
    }),
  );
});

test.each([
  ['leaves nothing', ''],
  ['leaves other words', 'done'],
  ['was stopped', word({ outcome: 'stopped' })],
  ['has not spent its budget', word({ samples: 639 })],
  ['trained on nothing', word({ samples: 0, budget: 0 })],
  ['has no checkpoint', word({ checkpoint: null })],
  ['has an earlier checkpoint', word({ step: 21 })],
  ['is of another run', word({ run: 'run-0' })],
  ['is of another module', word({ module: 'second' })],
  ['is another replica', word({ replica: 1 })],
])(
  'a trainer that ends with exit code 0 and %s has failed, and its Job is made anew',
  (_, message) => {
    const seen = withFirst([aDonePod('first', message)]);
    const planned = plan(aRun(), seen);
    expect(row(planned, 'first')).toMatchObject({
      phase: 'Pending',
      reason: 'Restarting',
      restarts: 1,
      lastFailure: { reason: 'NoEvidence', exitCode: 0, pod: 'small-first-0-x' },
    });
    // Status keeps the failure before the Job, its evidence, goes.
    expect([removed(planned), planned.requeueAfterSeconds]).toEqual([[], 0]);
    expect(isUrgent(aRun().status, planned.status)).toBe(true);
    expect(removed(plan(following(aRun(), planned), seen))).toEqual(['Job/small-first']);
    expect(applied(planned, 'Job').map(({ metadata }) => metadata?.name)).toEqual(['small-second']);
    expect(planned.events).toEqual([
      expect.objectContaining({ type: 'Warning', reason: 'NoEvidence' }),
    ]);
  },
);

/** The next pod that ends so, `at` seconds after the start. */
const nextPod = (at: number, message = ''): V1Pod => {
  const pod = aDonePod('first', message);
  const terminated = { exitCode: 0, message, startedAt: START, finishedAt: after(at) };
  return {
    metadata: { ...pod.metadata, name: `small-first-0-${at}` },
    status: { phase: 'Succeeded', containerStatuses: [containerStatus({ terminated })] },
  };
};

test('such an end counts once, however often it is looked at, and never as a success', () => {
  let run = aRun();
  for (let at = 1; at <= 7; at++) {
    for (let look = 0; look < 3; look++) {
      const planned = plan(run, withFirst([nextPod(at)]), after(10 * at + look));
      expect(row(planned, 'first')?.restarts).toBe(at);
      expect(planned.status.phase).toBe(at === 7 ? 'Failed' : 'Pending');
      run = following(run, planned);
      if (at === 7) {
        expect(planned.status.message).toMatch(/^module first: .*no proof.*it failed too often/);
        return;
      }
    }
    const remade = plan(
      run,
      { jobs: [aJob('second')], pods: [aPod('second')] },
      after(10 * at + 5),
    );
    expect(applied(remade, 'Job')).toHaveLength(2);
    run = following(run, remade);
  }
});

test('a failure counts once while the pods of its Job go before the Job', () => {
  const seen = withFirst([aDonePod('first', '')]);
  const run = following(aRun(), plan(aRun(), seen));
  const { metadata } = aJob('first');
  const job = done({ ...aJob('first'), metadata: { ...metadata, deletionTimestamp: START } });
  job.status = { ...job.status, completionTime: new Date(after(60)) };
  expect(row(plan(run, withFirst([], job)), 'first')).toMatchObject({
    restarts: 1,
    lastFailure: { reason: 'NoEvidence', pod: 'small-first-0-x' },
  });
});

test('a Job that goes is waited for', () => {
  const job = done({
    ...aJob('first'),
    metadata: { ...aJob('first').metadata, deletionTimestamp: START },
  });
  expect(removed(plan(aRun(), withFirst([aDonePod('first', '')], job)))).toEqual([]);
});

test('memory that a child of the trainer exceeded is named for every exit code', () => {
  const terminated = { exitCode: 0, reason: 'OOMKilled', startedAt: START, finishedAt: after(7) };
  const pod = aPod('first', 0, {
    status: { phase: 'Succeeded', containerStatuses: [containerStatus({ terminated })] },
  });
  const planned = plan(aRun(), withFirst([pod]));
  expect(row(planned, 'first')?.lastFailure?.reason).toBe('OOMKilled');
  expect(planned.status.phase).toBe('Pending');
});

const finished = { phase: 'finished', step: 20, samplesTrained: 640, checkpointStep: 20 } as const;

test('the last report proves completion where no message does', () => {
  const reports = [aReport('first', finished)];
  const planned = plan(aRun(), { ...withFirst([aDonePod('first', '')]), reports });
  expect(row(planned, 'first')).toMatchObject({ phase: 'Complete', samples: 640 });
});

test.each([
  ['is not the last', { phase: 'forwarding' as const }],
  ['has no checkpoint of the last step', { checkpointStep: 19 }],
  ['has budget left', { samplesTrained: 639 }],
])('a report that %s proves nothing', (_, change) => {
  const reports = [aReport('first', { ...finished, ...change })];
  const planned = plan(aRun(), { ...withFirst([aDonePod('first', '')]), reports });
  expect(row(planned, 'first')?.phase).toBe('Pending');
});

test('when its pods are gone, a Job proves nothing: the next trainer reads the checkpoint', () => {
  const planned = plan(aRun(), withFirst([]));
  expect(row(planned, 'first')).toMatchObject({
    phase: 'Pending',
    message: expect.stringMatching(/its pods are gone, so nothing proves what they trained/),
  });
  expect(removed(plan(following(aRun(), planned), withFirst([])))).toEqual(['Job/small-first']);
});

test('when its pods are gone, a report since the start of the Job proves it', () => {
  const job = { ...done(), status: { ...done().status, startTime: START } };
  const at = (seconds: number) => [aReport('first', { ...finished, at: after(seconds).getTime() })];
  const phase = (seconds: number) =>
    row(plan(aRun(), { ...withFirst([], job), reports: at(seconds) }), 'first')?.phase;
  expect(phase(1)).toBe('Complete');
  expect(phase(-1)).toBe('Pending');
});

test('a module that was complete stays so without its pods', () => {
  const before = plan(aRun(), withFirst([aDonePod('first')]));
  const later = plan(following(aRun(), before), withFirst([]), after(60));
  expect(row(later, 'first')).toMatchObject({ phase: 'Complete', samples: 640 });
  expect(removed(later)).toEqual([]);
});

test('of several trainers each that is there must have proof', () => {
  const modules = [aModuleObject('first', 2)];
  const of = (second: V1Pod[]) =>
    row(plan(aRun(), { ...withFirst([aDonePod('first'), ...second]), modules }), 'first')?.phase;
  const proof = encodeTrainerEnding(anEnding('first', { replica: 1 }));
  expect(of([aDonePod('first', proof, 1)])).toBe('Complete');
  expect(of([aDonePod('first', '', 1)])).toBe('Pending');
  expect(of([])).toBe('Complete'); // its pod is gone; the other one's word is about the module
});

test('a Job whose end was seen before that of its pod is waited for', () => {
  const planned = plan(aRun(), withFirst([aPod('first')]));
  expect(row(planned, 'first')?.phase).toBe('Starting');
  expect(removed(planned)).toEqual([]);
  expect(applied(planned, 'Job').map(({ metadata }) => metadata?.name)).toEqual(['small-second']);
});

/** Its trainer has ended, and another container runs on. */
const keptPod = (message: string): V1Pod => {
  const terminated = { exitCode: 0, message, startedAt: START, finishedAt: after(1) };
  return aPod('first', 0, {
    status: {
      phase: 'Running',
      containerStatuses: [
        containerStatus({ terminated }),
        { ...containerStatus({ running: { startedAt: START } }), name: 'istio-proxy' },
      ],
    },
  });
};

test('a sidecar does not keep a module from being complete, and is named', () => {
  const planned = plan(aRun(), withFirst([keptPod(word({}))], aJob('first')));
  expect(row(planned, 'first')).toMatchObject({
    phase: 'Complete',
    reason: 'SidecarKeepsPod',
    message: expect.stringMatching(/container istio-proxy keeps pod small-first-0-x/),
  });
  expect(planned.events.filter(({ type }) => type === 'Warning')).toHaveLength(1);
  const both = {
    jobs: [aJob('first'), done(aJob('second'))],
    pods: [keptPod(word({})), aDonePod('second')],
  };
  const over = plan(following(aRun(), planned), both, after(9));
  expect(over.status.phase).toBe('Complete');
  expect(removed(over)).toEqual(['Job/small-first']);
});

test('a trainer without proof that a sidecar keeps is replaced with its Job', () => {
  const seen = withFirst([keptPod('')], aJob('first'));
  const planned = plan(aRun(), seen);
  expect(row(planned, 'first')).toMatchObject({ phase: 'Pending', restarts: 1 });
  expect(removed(plan(following(aRun(), planned), seen))).toEqual(['Job/small-first']);
});

test('a failed trainer is no end without proof', () => {
  const planned = plan(aRun(), withFirst([aFailedPod('first', 1, 'boom')], aJob('first')));
  expect(removed(planned)).toEqual([]);
  expect(row(planned, 'first')?.message).toMatch(/^starts again after boom/);
});
