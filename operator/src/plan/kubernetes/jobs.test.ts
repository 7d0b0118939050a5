import { expect, test } from 'vitest';
import {
  aDonePod,
  aJob,
  aModuleObject,
  applied,
  aRun,
  ended,
  following,
  plan,
  removed,
  templateHashOf,
  withModule,
} from './testing/builders.ts';

const jobs = (...args: Parameters<typeof plan>) => applied(plan(...args), 'Job');

test('each module is an Indexed Job of the run', () => {
  const [first, second] = jobs(aRun());
  expect([first, second].map((job) => job?.metadata?.name)).toEqual([
    'small-first',
    'small-second',
  ]);
  expect(first?.spec).toMatchObject({
    completionMode: 'Indexed',
    completions: 1,
    parallelism: 1,
    suspend: false,
    template: { spec: { restartPolicy: 'Never' } },
  });
});

test('planning twice gives the same objects', () => {
  expect(plan(aRun()).apply).toEqual(plan(aRun()).apply);
});

test('a final exit code fails the Job, disruptions and clean stops do not count', () => {
  const [job] = jobs(aRun());
  expect(job?.spec?.podFailurePolicy?.rules).toEqual([
    {
      action: 'FailJob',
      onExitCodes: { containerName: 'trainer', operator: 'In', values: [64, 65] },
    },
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
    { action: 'Ignore', onExitCodes: { containerName: 'trainer', operator: 'In', values: [2] } },
  ]);
});

test('a pod is replaced only once it has ended, as two trainers must never write to one checkpoint folder', () => {
  const [made] = jobs(aRun());
  expect(made?.spec?.podReplacementPolicy).toBe('Failed');
  const [kept] = jobs(aRun(), { jobs: [aJob('first'), aJob('second')] });
  expect(kept?.spec?.podReplacementPolicy).toBe('Failed');
});

test('pod failures of a module that the run outlives are set by the run, the installation or 6', () => {
  const limitOf = (run = aRun(), backoffLimit?: number) =>
    applied(plan(run, {}, undefined, { runDefaults: { backoffLimit } }), 'Job')[0]?.spec
      ?.backoffLimit;
  expect(limitOf()).toBe(6);
  expect(limitOf(aRun(), 3)).toBe(3);
  expect(limitOf(aRun({ backoffLimit: 0 }), 3)).toBe(0);
});

test('a module with another template of its own gets another Job, and no other module does', () => {
  const observed = { jobs: [aJob('first'), aJob('second')] };
  const run = withModule('first', { podTemplate: { spec: { schedulerName: 'packer' } } });
  expect(removed(plan(run, observed))).toEqual(['Job/small-first']);
});

test('no trainers at all is a suspended Job, as one without completions would be complete', () => {
  const [job] = jobs(aRun(), { modules: [aModuleObject('first', 0)] });
  expect(job?.spec).toMatchObject({ completions: 1, parallelism: 1, suspend: true });
});

test('scaling changes the Job in place', () => {
  const observed = { jobs: [aJob('first'), aJob('second')], modules: [aModuleObject('first', 4)] };
  const planned = plan(aRun(), observed);
  expect(removed(planned)).toEqual([]);
  expect(applied(planned, 'Job')[0]?.spec).toMatchObject({ completions: 4, parallelism: 4 });
});

test('a Job keeps the template it was made with when only the operator has changed', () => {
  const job = aJob('first');
  const planned = plan(aRun(), { jobs: [job] }, undefined, { trainerImage: 'trainer:2' });
  expect(applied(planned, 'Job')[0]?.spec?.template).toEqual(job.spec?.template);
  expect(applied(planned, 'Job')[1]?.spec?.template.spec?.containers[0]?.image).toBe('trainer:2');
});

test('another template is another Job: the old one goes first', () => {
  const run = aRun({ podTemplate: { image: 'trainer:3' } });
  const old = aJob('first');
  const gone = plan(run, { jobs: [old] });
  expect(gone.remove).toEqual([expect.objectContaining({ kind: 'Job', uid: 'job-first' })]);
  expect(applied(gone, 'Job').map(({ metadata }) => metadata?.name)).toEqual(['small-second']);

  const going = { ...old, metadata: { ...old.metadata, deletionTimestamp: new Date() } };
  const waits = plan(run, { jobs: [going] });
  expect(removed(waits)).toEqual([]);
  expect(applied(waits, 'Job')).toHaveLength(1);

  const [next] = jobs(run);
  expect(templateHashOf(next)).not.toBe(templateHashOf(old));
});

test('a Job of an earlier run of the same name is none of ours', () => {
  const earlier = aRun({}, { metadata: { uid: 'run-0' } });
  expect(removed(plan(aRun(), { jobs: [ended(aJob('first', earlier), 'Failed')] }))).toEqual([]);
});

test('a module that is complete does not start again when its Job is gone', () => {
  const jobsNow = [ended(aJob('first'), 'Complete'), aJob('second')];
  const complete = plan(aRun(), { jobs: jobsNow, pods: [aDonePod('first')] });
  expect(applied(complete, 'Job').map(({ metadata }) => metadata?.name)).toEqual(['small-second']);
  const later = jobs(following(aRun(), complete), { jobs: [aJob('second')] });
  expect(later.map(({ metadata }) => metadata?.name)).toEqual(['small-second']);
});

test.each([
  ['spec.queueName', aRun({ queueName: 'gpus' })],
  [
    'its label',
    aRun({}, { metadata: { labels: { 'kueue.x-k8s.io/queue-name': 'gpus', other: 'x' } } }),
  ],
])('a run in a queue by %s leaves it to Kueue when a Job starts', (_, run) => {
  const [job] = jobs(run);
  expect(job?.metadata?.labels).toMatchObject({ 'kueue.x-k8s.io/queue-name': 'gpus' });
  expect(job?.metadata?.labels).not.toHaveProperty('other');
  expect(job?.spec).not.toHaveProperty('suspend');
});
