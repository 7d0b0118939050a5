import { expect, test } from 'vitest';
import { after, aRun, atWork, condition, following, plan, removed } from './testing/builders.ts';

const run = aRun({ activeDeadlineSeconds: 20 });
const started = following(run, plan(run));

test('comes back when the deadline is over', () => {
  expect(plan(started, {}, after(15)).requeueAfterSeconds).toBe(5);
  expect(plan(aRun(), {}, after(15)).requeueAfterSeconds).toBeUndefined();
});

test('fails the run on the second, and ends what still trains', () => {
  expect(plan(started, atWork('training', run), after(19.999)).status.phase).toBe('Training');
  const over = plan(started, atWork('training', run), after(20));
  expect(condition(over, 'Failed')).toMatchObject({ status: 'True', reason: 'DeadlineExceeded' });
  expect(removed(over)).toEqual(['Job/small-first', 'Job/small-second']);
  expect(over.streams).toBeNull();
});

test('does not run while the run is suspended, and begins anew when it is resumed', () => {
  const paused = { ...started, spec: { ...run.spec, suspend: true } };
  const suspended = plan(paused, {}, after(100));
  expect(suspended.status.phase).toBe('Suspended');
  const resumed = plan(following(run, suspended), {}, after(200));
  expect(resumed.status).toMatchObject({ phase: 'Pending', startTime: '2026-01-01T00:03:20Z' });
  expect(plan(following(run, resumed), {}, after(219)).requeueAfterSeconds).toBe(1);
});
