import { expect, test } from 'vitest';
import { after, aRun, following, plan, trained } from './testing/builders.ts';

const run = aRun({ ttlSecondsAfterFinished: 60 });
const complete = plan(run, trained());

test.each([
  ['0 s', 0, 60],
  ['59.5 s', 59.5, 0.5],
])('%s after the end the run is kept, and looked at when its time is over', (_, at, left) => {
  const planned = plan(following(run, complete), trained(), after(at));
  expect(planned.remove).toEqual([]);
  expect(planned.requeueAfterSeconds).toBe(left);
});

test('the very plan that ends a run already says when to come back', () => {
  expect(complete.requeueAfterSeconds).toBe(60);
});

test.each([60, 100_000])('%d s after the end this very run is removed', (at) => {
  expect(plan(following(run, complete), trained(), after(at)).remove).toEqual([
    {
      apiVersion: 'greedyinfomax.dev/v1alpha1',
      kind: 'GreedyInfoMaxRun',
      namespace: 'team',
      name: 'small',
      uid: 'run-1',
    },
  ]);
});

test('without a time to live a finished run stays', () => {
  const planned = plan(following(aRun(), complete), trained(), after(1e9));
  expect(planned.remove).toEqual([]);
  expect(planned.requeueAfterSeconds).toBeUndefined();
});
