import { expect, test } from 'vitest';
import { cleanupOf } from './cleanup.ts';
import { after, aJob, aPod, aRun, ended, OPTIONS, START } from './testing/builders.ts';
import type { KubernetesRun, Observed } from './types.ts';

const deleted = (checkpoints: Partial<KubernetesRun['spec']['checkpoints']> = {}) =>
  aRun(
    {
      checkpoints: {
        everySeconds: 60,
        keep: 3,
        storage: { volumeClaimName: 'disk' },
        retain: false,
        ...checkpoints,
      },
    },
    { metadata: { deletionTimestamp: START } },
  );

const clean = (observed: Partial<Observed> = {}, run = deleted(), seconds = 1) =>
  cleanupOf(run, { jobs: [], pods: [], ...observed }, after(seconds), OPTIONS);

const trainerPod = (change: Parameters<typeof aPod>[2] = {}) => {
  const pod = aPod('first', 0, change);
  return { ...pod, metadata: { ...pod.metadata, labels: { 'greedyinfomax.dev/run': 'small' } } };
};

test.each([
  ['keeps its checkpoints', deleted({ retain: undefined })],
  ['keeps them by name', deleted({ retain: true })],
  ['has no claim', deleted({ storage: undefined })],
])('a run that %s goes at once', (_, run) => {
  expect(clean({ jobs: [aJob('first')] }, run)).toEqual({ remove: [], done: true });
});

test('its Jobs are removed first, and their pods awaited', () => {
  const jobs = [aJob('first')];
  const first = clean({ jobs, pods: [trainerPod()] });
  expect(first).toMatchObject({ remove: [{ name: 'small-first' }], done: false });
  expect(first.apply).toBeUndefined();
  const going = { ...jobs[0], metadata: { ...jobs[0]?.metadata, deletionTimestamp: START } };
  expect(clean({ jobs: [going], pods: [trainerPod()] })).toEqual({ remove: [], done: false });
  expect(clean({ pods: [trainerPod()] })).toEqual({ remove: [], done: false });
});

test('then a Job, which the run does not own, removes the folder of the run and no other', () => {
  const { apply, done } = clean({ pods: [trainerPod({ status: { phase: 'Succeeded' } })] });
  expect(done).toBe(false);
  expect(apply?.metadata?.name).toMatch(/^small--cleanup-[0-9a-f]{8}$/);
  expect(apply?.metadata?.ownerReferences).toBeUndefined();
  const [container] = apply?.spec?.template.spec?.containers ?? [];
  expect(container?.command?.at(-1)).toBe('/var/lib/greedy-infomax/small');
  expect(container?.volumeMounts).toContainEqual({
    name: 'checkpoints',
    mountPath: '/var/lib/greedy-infomax',
  });
});

test('the run goes, and the Job with it, once that is done', () => {
  const { apply: job } = clean();
  if (!job) throw new Error('there is no Job');
  expect(clean({ jobs: [job] })).toEqual({ remove: [], done: false });
  const complete = clean({ jobs: [ended(job, 'Complete')] });
  expect(complete).toMatchObject({ remove: [{ name: job.metadata?.name }], done: true });
  expect(complete.event).toBeUndefined();
});

test.each([
  ['fails', 'Failed' as const, 1, /could not be removed.*on claim disk, in folder small/],
  ['takes too long', undefined, 121, /were not removed within 120 s/],
])(
  'a Job that %s keeps no run; the checkpoints that stay are told of',
  (_, end, seconds, words) => {
    const { apply: job } = clean();
    if (!job) throw new Error('there is no Job');
    const late = clean({ jobs: [end ? ended(job, end) : job] }, deleted(), seconds);
    expect(late).toMatchObject({ remove: [{ name: job.metadata?.name }], done: true });
    expect(late.event).toMatchObject({ type: 'Warning', message: expect.stringMatching(words) });
  },
);
