import { expect, test } from 'vitest';
import {
  aJob,
  aModuleObject,
  aPod,
  applied,
  aRun,
  atWork,
  condition,
  following,
  plan,
  removed,
  row,
} from './testing/builders.ts';

test('a run that is made suspended has its objects, but no trainer', () => {
  const planned = plan(aRun({ suspend: true }));
  expect(applied(planned, 'Job').map(({ spec }) => spec?.suspend)).toEqual([true, true]);
  expect(planned.status).toMatchObject({ phase: 'Suspended', ready: '0/2' });
  expect(planned.status.startTime).toBeUndefined();
});

test('a run is Suspended only when its last pod has ended', () => {
  const trains = following(aRun(), plan(aRun(), atWork()));
  const run = { ...trains, spec: { ...trains.spec, suspend: true } };
  const stopping = plan(run, atWork());
  expect(applied(stopping, 'Job').map(({ spec }) => spec?.suspend)).toEqual([true, true]);
  expect(stopping.status.phase).toBe('Suspending');
  expect(condition(stopping, 'Suspended')).toMatchObject({
    status: 'False',
    reason: 'Suspending',
    message: 'waits for 2 trainers to write checkpoints and end',
  });
  const stopped = plan(run, { ...atWork(), pods: [] });
  expect(stopped.status.phase).toBe('Suspended');
  expect(condition(stopped, 'Suspended')?.status).toBe('True');
  expect(row(stopped, 'first')).toMatchObject({ phase: 'Suspended', loss: 2.5, samples: 320 });
});

test('a suspended run says whether it will go on or start over', () => {
  const message = (run: ReturnType<typeof aRun>) => condition(plan(run), 'Suspended')?.message;
  expect(message(aRun({ suspend: true }))).toMatch(/start over/);
  for (const storage of [{ volumeClaimName: 'disk' }, { objectStore: {} }]) {
    expect(
      message(aRun({ suspend: true, checkpoints: { everySeconds: 60, keep: 3, storage } })),
    ).toMatch(/go on from their checkpoints/);
  }
});

test('resumed, the Jobs are started, and the condition says so', () => {
  const suspended = plan(aRun({ suspend: true }));
  const resumed = plan(following(aRun(), suspended), { jobs: [aJob('first'), aJob('second')] });
  expect(applied(resumed, 'Job').map(({ spec }) => spec?.suspend)).toEqual([false, false]);
  expect(condition(resumed, 'Suspended')).toMatchObject({ status: 'False', reason: 'Resumed' });
  expect(resumed.status.startTime).toBe('2026-01-01T00:00:00Z');
});

test('the Jobs of a suspended run in a queue are removed, as Kueue would start them', () => {
  const run = aRun({ suspend: true, queueName: 'gpus' });
  const planned = plan(run, { jobs: [aJob('first', run)], pods: [aPod('first')] });
  expect(removed(planned)).toEqual(['Job/small-first']);
  expect(applied(planned, 'Job')).toEqual([]);
});

test('neither has a module in a queue that is scaled to nothing a Job', () => {
  const run = aRun({ queueName: 'gpus' });
  const modules = [aModuleObject('first', 0)];
  const planned = plan(run, { modules, jobs: [aJob('first', run)] });
  expect(removed(planned)).toEqual(['Job/small-first']);
  expect(applied(planned, 'Job').map(({ metadata }) => metadata?.name)).toEqual(['small-second']);
});
