import type { V1Job } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import { cleanupName, formerCleanups, haveFormerEnded } from './cleanup.ts';
import {
  aJob,
  aPod,
  applied,
  aRun,
  ended,
  OPTIONS,
  plan,
  removed,
  row,
} from './testing/builders.ts';
import type { KubernetesRun } from './types.ts';

const withCheckpoints = (
  checkpoints: Partial<KubernetesRun['spec']['checkpoints']> = {},
  metadata = {},
) =>
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
    { metadata },
  );

const isCleanup = (job: V1Job) =>
  job.metadata?.labels?.['app.kubernetes.io/component'] === 'cleanup';
const cleanups = (run: KubernetesRun, observed = {}, options = {}) =>
  applied(plan(run, observed, undefined, options), 'Job').filter(isCleanup);
const cleanupOf = (run = withCheckpoints()): V1Job => {
  const [job] = cleanups(run);
  if (!job) throw new Error('the plan has no clean-up Job');
  return { ...job, metadata: { ...job.metadata, uid: 'cleanup' } };
};
const trainerPod = (change: Parameters<typeof aPod>[2] = {}) => {
  const pod = aPod('first', 0, change);
  return { ...pod, metadata: { ...pod.metadata, labels: { 'greedyinfomax.dev/run': 'small' } } };
};

test.each([
  ['keeps its checkpoints', withCheckpoints({ retain: undefined })],
  ['keeps them by name', withCheckpoints({ retain: true })],
  ['has no claim', withCheckpoints({ storage: undefined })],
])('a run that %s has no clean-up Job', (_, run) => {
  expect(cleanups(run)).toEqual([]);
  expect(removed(plan(run, { jobs: [cleanupOf()] }))).toEqual([`Job/${cleanupName(run)}`]);
});

test('a suspended Job, which the run does not own, gets the folder and the uid of the run', () => {
  const job = cleanupOf();
  expect(job.metadata?.name).toMatch(/^small--cleanup-[0-9a-f]{8}$/);
  expect(job.metadata?.ownerReferences).toBeUndefined();
  expect(job.spec).toMatchObject({ suspend: true, activeDeadlineSeconds: 120 });
  const [container] = job.spec?.template.spec?.containers ?? [];
  expect(container?.command?.slice(-2)).toEqual(['/var/lib/greedy-infomax/small', 'run-1']);
  expect(container?.volumeMounts).toContainEqual({
    name: 'checkpoints',
    mountPath: '/var/lib/greedy-infomax',
  });
});

test('it is made once, and made anew when its pod would be another', () => {
  const run = withCheckpoints();
  const jobs = [cleanupOf()];
  expect(cleanups(run, { jobs })).toEqual([]);
  expect(removed(plan(run, { jobs }))).toEqual([]);
  const options = { ...OPTIONS, trainerImage: 'trainer:2' };
  expect(removed(plan(run, { jobs }, undefined, options))).toEqual([`Job/${cleanupName(run)}`]);
});

test('a finished run that an earlier version began gets one', () => {
  const conditions = [
    { type: 'Complete', status: 'True' as const, reason: 'x', message: '', lastTransitionTime: '' },
  ];
  const status = { startTime: '2026-01-01T00:00:00Z', conditions };
  expect(cleanups({ ...withCheckpoints(), status } as never)).toHaveLength(1);
  expect(cleanups({ ...withCheckpoints(), status: { conditions } } as never)).toEqual([]);
});

test('it may start when the trainers of the deleted run have ended', () => {
  const jobs = [cleanupOf()];
  const done = { ...aJob('first'), metadata: { ...aJob('first').metadata } };
  expect(haveFormerEnded({ jobs: [...jobs, done], pods: [] }, undefined)).toBe(false);
  expect(haveFormerEnded({ jobs, pods: [trainerPod()] }, undefined)).toBe(false);
  const ending = trainerPod({ status: { phase: 'Succeeded' } });
  expect(haveFormerEnded({ jobs, pods: [ending] }, undefined)).toBe(true);
  // Trainers of the run that has the name now write to the folder only once it is clean.
  expect(haveFormerEnded({ jobs: [...jobs, done], pods: [trainerPod()] }, 'run-1')).toBe(true);
  expect(haveFormerEnded({ jobs: [...jobs, done], pods: [trainerPod()] }, 'run-2')).toBe(false);
});

test('a new run of the name starts no trainer until the checkpoints of the former are removed', () => {
  const run = withCheckpoints({}, { uid: 'run-2' });
  const job = cleanupOf();
  const waiting = plan(run, { jobs: [job] });
  expect(applied(waiting, 'Job').filter((each) => !isCleanup(each))).toEqual([]);
  expect(row(waiting, 'first')).toMatchObject({
    phase: 'Pending',
    message: 'waits until the checkpoints of the deleted run of this name are removed',
  });
  for (const end of ['Complete', 'Failed'] as const) {
    const next = plan(run, { jobs: [ended(job, end)] });
    expect(applied(next, 'Job').filter((each) => !isCleanup(each))).toHaveLength(2);
    expect(formerCleanups([ended(job, end)], run)).toEqual([]);
  }
  expect(formerCleanups([job], run)).toEqual([job]);
  expect(formerCleanups([job], withCheckpoints())).toEqual([]);
  expect(formerCleanups([job])).toEqual([job]);
});

test('it asks for resources within limits, which some quotas want, and for no GPU', () => {
  const resourcesOf = (options = {}) =>
    cleanups(withCheckpoints(), {}, options)[0]?.spec?.template.spec?.containers[0]?.resources;
  expect(resourcesOf()).toEqual({
    requests: { cpu: '100m', memory: '64Mi' },
    limits: { cpu: '1', memory: '256Mi' },
  });
  const cleanupResources = { limits: { cpu: '2' } };
  expect(resourcesOf({ runDefaults: { cleanupResources } })).toEqual(cleanupResources);
});

test('it runs where trainers may, without their volumes, variables and sidecars', () => {
  const run = withCheckpoints();
  run.spec.podTemplate = {
    image: 'mine:2',
    nodeSelector: { zone: 'a' },
    volumes: [{ name: 'data', mountPath: '/data', secret: { secretName: 's' } }],
    spec: {
      schedulerName: 'packer',
      containers: [
        { name: 'trainer', env: [{ name: 'A', value: '1' }] },
        { name: 'proxy', image: 'proxy:1' },
      ],
      initContainers: [{ name: 'init', image: 'init:1' }],
    },
  };
  const spec = cleanupOf(run).spec?.template.spec;
  expect(spec).toMatchObject({ nodeSelector: { zone: 'a' }, schedulerName: 'packer' });
  expect(spec?.initContainers).toBeUndefined();
  expect(spec?.containers.map(({ image }) => image)).toEqual(['mine:2']);
  expect(spec?.containers[0]?.env).toEqual([{ name: 'HOME', value: '/tmp' }]);
  expect(spec?.volumes?.map(({ name }) => name)).toEqual(['tmp', 'checkpoints']);
});
