import { expect, test } from 'vitest';
import {
  aFailedPod,
  after,
  aJob,
  aModuleObject,
  aPendingPod,
  aPod,
  aRun,
  atWork,
  ended,
  following,
  plan,
  trained,
} from './testing/builders.ts';

type Observed = NonNullable<Parameters<typeof plan>[1]>;

/** Reasons of the events when what is there changes from each to the next. */
function told(...steps: { run?: ReturnType<typeof aRun>; observed: Observed }[]): string[][] {
  let status: ReturnType<typeof aRun>['status'];
  return steps.map(({ run = aRun(), observed }, i) => {
    const planned = plan({ ...run, ...(status && { status }) }, observed, after(i));
    status = planned.status;
    return planned.events.map(({ type, reason }) => `${type} ${reason}`);
  });
}

const complete = trained();
const unschedulable = (message: string): Observed => ({
  ...atWork(),
  pods: [
    aPod('first'),
    aPendingPod('second', {
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
    }),
  ],
});

test('a run that goes well tells of each step once', () => {
  const steps = [
    {},
    { ...atWork(), reports: [] },
    atWork(),
    atWork(),
    atWork('forwarding'),
    complete,
    complete,
  ];
  expect(told(...steps.map((observed) => ({ observed })))).toEqual([
    [],
    ['Normal Starting'],
    ['Normal Training'],
    [],
    ['Normal ModuleTrained', 'Normal ModuleTrained', 'Normal Forwarding'],
    ['Normal ModuleComplete', 'Normal ModuleComplete', 'Normal AllModulesComplete'],
    [],
  ]);
});

test('a pod that cannot be scheduled has one event, even if numbers of the scheduler change', () => {
  const steps = ['0/3 nodes', '0/4 nodes'].map((message) => ({ observed: unschedulable(message) }));
  expect(told(...steps)).toEqual([['Warning Unschedulable'], []]);
  expect(plan(aRun(), unschedulable('0/3 nodes')).events[0]?.message).toMatch(
    /^module second: 0\/3 nodes; add nodes/,
  );
});

test('suspension, resumption and scaling are told of', () => {
  const suspend = aRun({ suspend: true });
  const scaled = { ...atWork(), modules: [aModuleObject('first', 2)] };
  expect(
    told(
      { observed: atWork() },
      { run: suspend, observed: atWork() },
      { run: suspend, observed: { ...atWork(), pods: [] } },
      { observed: { ...atWork(), pods: [] } },
      { observed: atWork() },
      { observed: scaled },
    ),
  ).toEqual([
    ['Normal Training'],
    ['Normal Suspending'],
    ['Normal Suspended'],
    ['Normal Resumed'],
    ['Normal Training'],
    ['Normal Scaled'],
  ]);
});

test('a failure is told of once, with its cause', () => {
  const job = ended(aJob('first'), 'Failed', {
    reason: 'PodFailurePolicy',
    message: 'exit code 64',
  });
  const observed = { jobs: [job], pods: [aFailedPod('first', 64, '{"msg":"no data"}')] };
  const failed = plan(following(aRun(), plan(aRun(), atWork())), observed);
  expect(failed.events).toEqual([
    { type: 'Warning', reason: 'ModuleFailed', message: expect.stringContaining('no data') },
  ]);
  expect(plan(following(aRun(), failed), observed).events).toEqual([]);
});

test('no message is longer than the API server takes', () => {
  const [event] = plan(aRun(), unschedulable('x'.repeat(5000))).events;
  expect(event?.message.length).toBeLessThanOrEqual(1024);
});
