import type { Report } from '@greedy-infomax/crds';
import type { V1Job } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import {
  aJob,
  aPod,
  applied,
  aReport,
  aRun,
  condition,
  following,
  plan,
  removed,
  row,
  trained,
} from './testing/builders.ts';
import type { KubernetesPlan } from './types.ts';

/** Runs in iterative order: one module after another. */

const { evaluation } = aRun().spec;
const run = aRun({ order: 'iterative', evaluation: { ...evaluation, atEnd: false } });
const jobs = (planned: KubernetesPlan) => applied(planned, 'Job').map((job) => job.metadata?.name);
const firstIs = (phase: Report['phase']) => ({
  jobs: [aJob('first', run)],
  pods: [aPod('first')],
  reports: [aReport('first', { phase })],
});

test('at the start only the first module has a Job, and the second says what it waits for', () => {
  const planned = plan(run);
  expect(jobs(planned)).toEqual(['small-first']);
  expect(row(planned, 'second')).toMatchObject({
    phase: 'Pending',
    reason: 'WaitsForModule',
    message: 'waits for module first to spend its budget',
    replicas: 0,
  });
});

test('a module that waits its turn does not make the run look held up, nor its end foreseeable', () => {
  const planned = plan(run, firstIs('training'));
  expect(planned.status).toMatchObject({ phase: 'Training', ready: '1/1', percent: 0 });
  expect(planned.status.message).toBeUndefined();
  expect(planned.status.etaSeconds).toBeUndefined();
  expect(condition(planned, 'Progressing')?.status).toBe('True');
  expect(condition(planned, 'Ready')?.status).toBe('True');
  expect(planned.events.filter(({ type }) => type === 'Warning')).toEqual([]);
});

test('the next module begins when the one before has spent its budget, which goes on forwarding', () => {
  const planned = plan(run, firstIs('forwarding'));
  expect(jobs(planned)).toEqual(['small-first', 'small-second']);
  expect(planned.released).toEqual(['second']);
});

test('a module that has begun goes on while the pod of the one before is replaced', () => {
  const begun = plan(run, firstIs('forwarding'));
  const [, second] = applied(begun, 'Job');
  const replaced = firstIs('starting');
  const planned = plan(following(run, begun), {
    ...replaced,
    jobs: [...replaced.jobs, second as V1Job],
  });
  expect(jobs(planned)).toEqual(['small-first', 'small-second']);
  expect(removed(planned)).toEqual([]);
});

test('when both have ended, the run is complete', () => {
  expect(condition(plan(run, trained(run)), 'Complete')?.status).toBe('True');
});
