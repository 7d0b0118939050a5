import type { RunStatus } from '@greedy-infomax/crds';
import type { V1Job, V1Pod } from '@kubernetes/client-node';
import { expect, test } from 'vitest';
import {
  aFailedPod,
  after,
  aJob,
  aPendingPod,
  aPod,
  applied,
  aReport,
  aRun,
  atWork,
  condition,
  containerStatus,
  ended,
  following,
  plan,
  removed,
  row,
  START,
  trained,
} from './testing/builders.ts';
import type { KubernetesPlan, KubernetesRun, Observed } from './types.ts';

const checkpoints = { everySeconds: 60, keep: 3, storage: { volumeClaimName: 'disk' } };
const defaults = aRun().spec.evaluation;

/** A run with a claim for its checkpoints, evaluated as `change` says. */
const stored = (
  change: Partial<typeof defaults> = {},
  spec: Partial<KubernetesRun['spec']> = {},
  status?: RunStatus,
) => aRun({ checkpoints, evaluation: { ...defaults, ...change }, ...spec }, { status });

const TRAINED = trained(stored());

/** Both modules have trained on so many samples, and have a checkpoint. */
const trainedOn = (samples: number, checkpointStep: number | null = 1): Partial<Observed> => ({
  ...atWork('training', stored()),
  reports: ['first', 'second'].map((name) =>
    aReport(name, { samplesTrained: samples, checkpointStep }),
  ),
});

const evaluationsIn = (planned: KubernetesPlan): V1Job[] =>
  applied(planned, 'Job').filter(({ metadata }) => metadata?.name?.includes('--evaluation'));

const namesIn = (planned: KubernetesPlan) =>
  evaluationsIn(planned).map((job) => job.metadata?.name);

/** Returns the only evaluation Job of the plan, as it is on the server. */
function jobOf(planned: KubernetesPlan): V1Job {
  const [job] = evaluationsIn(planned);
  if (!job) throw new Error('the plan has no evaluation Job');
  return { ...job, metadata: { ...job.metadata, uid: 'job-evaluation' } };
}

/** Returns a pod of an evaluation that ended with the termination message `message`. */
const donePod = (message: string): V1Pod =>
  aPod('evaluation', 0, {
    status: {
      phase: 'Succeeded',
      containerStatuses: [
        containerStatus({ terminated: { exitCode: 0, message, startedAt: START } }),
      ],
    },
  });

const RESULT = '{"samples":320,"modules":{"first":[0.5,0.25],"second":[0.75,0.25]}}';
const ACCURACIES =
  'probe accuracy after 320 samples: first 50.0 % (untrained 25.0 %), second 75.0 % (untrained 25.0 %)';

const withEvaluation = (observed: Partial<Observed>, job: V1Job, pods: V1Pod[] = []) => ({
  ...observed,
  jobs: [...(observed.jobs ?? []), job],
  pods: [...(observed.pods ?? []), ...pods],
});

test('once all modules are trained, a Job evaluates them, and the run waits for it', () => {
  const planned = plan(stored(), TRAINED);
  expect(planned.status.phase).toBe('Evaluating');
  expect(planned.streams).toBeNull();
  expect(namesIn(planned)).toEqual(['small--evaluation-end']);
  expect(condition(planned, 'Evaluated')).toMatchObject({ status: 'False', reason: 'Evaluating' });
  expect(planned.status.completionTime).toBeUndefined();
});

test('an evaluation mounts all configurations and, read-only, all checkpoints', () => {
  const planned = plan(stored(), TRAINED);
  const spec = jobOf(planned).spec?.template.spec;
  const configMaps = planned.apply.filter(({ kind }) => kind === 'ConfigMap');
  const config = spec?.volumes?.find(({ name }) => name === 'config')?.projected?.sources;
  expect(config).toEqual(
    ['first', 'second'].map((name, i) => ({
      configMap: {
        name: configMaps[i]?.metadata?.name,
        items: [{ key: 'module.json', path: `${name}/module.json` }],
      },
    })),
  );
  expect(spec?.volumes).toContainEqual({
    name: 'checkpoints',
    persistentVolumeClaim: { claimName: 'disk' },
  });
  expect(spec?.containers[0]?.volumeMounts).toContainEqual({
    name: 'checkpoints',
    mountPath: '/var/lib/greedy-infomax',
    readOnly: true,
  });
  expect(spec?.containers[0]?.args).toContain('/var/lib/greedy-infomax/small');
});

test('an evaluation from a bucket needs no volume, but credentials for NATS', () => {
  const storage = { objectStore: {} };
  const run = aRun({ checkpoints: { everySeconds: 60, keep: 3, storage } });
  const planned = plan(run, trained(run), START, { natsSecret: { user: true } });
  const spec = jobOf(planned).spec?.template.spec;
  expect(JSON.stringify(spec)).not.toContain('persistentVolumeClaim');
  expect(spec?.containers[0]?.args).not.toContain('--checkpoints');
  expect(spec?.volumes).toContainEqual({
    name: 'nats-access',
    secret: { secretName: planned.credentials?.secret.metadata?.name },
  });
  expect(spec?.containers[0]?.env?.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['NATS_URL', 'NATS_CREDS']),
  );
});

test.each([
  ['a GPU, as trainers', {}, { limits: { 'nvidia.com/gpu': '1' } }],
  [
    'what it is given',
    { resources: { limits: { 'nvidia.com/gpu': 0, cpu: 4 } } },
    { limits: { cpu: '4' } },
  ],
])('an evaluation requests %s', (_, change, resources) => {
  const job = jobOf(plan(stored(change), TRAINED));
  expect(job.spec?.template.spec?.containers[0]?.resources).toEqual(resources);
});

test('the evaluation asks for what trainers ask for, or for what the installation says', () => {
  const run = stored();
  run.spec.podTemplate = {
    spec: { containers: [{ name: 'trainer', resources: { limits: { cpu: '8' } } }] },
  };
  const limitsOf = (options = {}) => {
    const job = jobOf(plan(run, TRAINED, START, options));
    return job.spec?.template.spec?.containers[0]?.resources?.limits;
  };
  expect(limitsOf()).toEqual({ cpu: '8', 'nvidia.com/gpu': '1' });
  const evaluationResources = { limits: { cpu: '1', 'nvidia.com/gpu': '0' } };
  expect(limitsOf({ runDefaults: { evaluationResources } })).toEqual({ cpu: '1' });
});

test('its pods are not taken for those of a module', () => {
  const job = jobOf(plan(stored(), TRAINED));
  expect(job.spec?.template.metadata?.labels).toMatchObject({ 'greedyinfomax.dev/run': 'small' });
  expect(job.spec?.template.metadata?.labels).not.toHaveProperty('greedyinfomax.dev/module');
});

test('the accuracies that it leaves behind end the run, are told of once, and stay', () => {
  const first = plan(stored(), TRAINED);
  const job = ended(jobOf(first), 'Complete');
  const observed = withEvaluation(TRAINED, job, [donePod(RESULT)]);
  const complete = plan(following(stored(), first), observed, after(9));
  expect(complete.status.phase).toBe('Complete');
  expect(condition(complete, 'Evaluated')).toMatchObject({ status: 'True', message: ACCURACIES });
  expect(row(complete, 'second')).toMatchObject({ accuracy: 0.75, accuracyUntrained: 0.25 });
  expect(complete.events).toContainEqual({
    type: 'Normal',
    reason: 'Evaluated',
    message: ACCURACIES,
  });
  const later = plan(following(stored(), complete), {}, after(99));
  expect(later).toMatchObject({ apply: [], remove: [], events: [] });
  expect(later.status).toEqual(complete.status);
});

test.each([
  [
    'fails for good',
    (job: V1Job) => ended(job, 'Failed', { reason: 'BackoffLimitExceeded' }),
    [aFailedPod('evaluation', 1, 'evaluation failed: no labels')],
    /evaluation failed: no labels.*it failed too often/,
  ],
  [
    'leaves no result',
    (job: V1Job) => ended(job, 'Complete'),
    [donePod('')],
    /small-evaluation-0-x left no results behind/,
  ],
  ['loses its pod', (job: V1Job) => ended(job, 'Complete'), [], /its pod was deleted/],
])(
  'an evaluation that %s leaves the run complete, and says why it has no accuracy',
  (_, end, pods, why) => {
    const first = plan(stored(), TRAINED);
    const observed = withEvaluation(TRAINED, end(jobOf(first)), pods);
    const complete = plan(following(stored(), first), observed);
    expect(complete.status.phase).toBe('Complete');
    expect(condition(complete, 'Evaluated')).toMatchObject({
      status: 'False',
      reason: 'EvaluationFailed',
      message: expect.stringMatching(why),
    });
    expect(complete.events).toContainEqual(
      expect.objectContaining({ type: 'Warning', reason: 'EvaluationFailed' }),
    );
  },
);

test('a Job whose end was seen before that of its pod is waited for', () => {
  const first = plan(stored(), TRAINED);
  const observed = withEvaluation(TRAINED, ended(jobOf(first), 'Complete'), [aPod('evaluation')]);
  expect(plan(following(stored(), first), observed).status).toEqual(
    expect.objectContaining({ phase: 'Evaluating' }),
  );
});

const WAITS = 'no GPU is free; add nodes that fit, or ask for less in resources and podTemplate';

test('a waiting pod of an evaluation is reported with the message of the scheduler', () => {
  const first = plan(stored(), TRAINED);
  const pod = aPendingPod('evaluation', {
    conditions: [{ type: 'PodScheduled', status: 'False', message: 'no GPU is free' }],
  });
  const waiting = plan(following(stored(), first), withEvaluation(TRAINED, jobOf(first), [pod]));
  expect(waiting.status).toMatchObject({ phase: 'Evaluating', message: WAITS });
  expect(condition(waiting, 'Evaluated')?.message).toMatch(/its pod waits: no GPU is free/);
  expect(waiting.events).toEqual([]);
});

test('other resources for a waiting evaluation replace its Job', () => {
  const first = plan(stored(), TRAINED);
  const changed = stored({ resources: { limits: { 'nvidia.com/gpu': 0 } } });
  const planned = plan(following(changed, first), withEvaluation(TRAINED, jobOf(first)));
  expect(removed(planned)).toEqual(['Job/small--evaluation-end']);
  expect(evaluationsIn(planned)).toEqual([]);
});

test('a deadline that ends during the evaluation leaves the run complete', () => {
  const run = stored({}, { activeDeadlineSeconds: 60 }, { startTime: '2026-01-01T00:00:00Z' });
  const first = plan(run, TRAINED, after(50));
  const late = plan(following(run, first), withEvaluation(TRAINED, jobOf(first)), after(60));
  expect(late.status.phase).toBe('Complete');
  expect(condition(late, 'Evaluated')?.reason).toBe('DeadlineExceeded');
  expect(removed(late)).toEqual(['Job/small--evaluation-end']);
});

test('a run that is suspended during its evaluation is evaluated again later', () => {
  const first = plan(stored(), TRAINED);
  const observed = withEvaluation(TRAINED, jobOf(first));
  const suspended = plan(following(stored({}, { suspend: true }), first), observed);
  expect(suspended.status.phase).toBe('Suspended');
  expect(removed(suspended)).toEqual(['Job/small--evaluation-end']);
  expect(condition(suspended, 'Evaluated')?.reason).toBe('EvaluationStopped');
  expect(namesIn(plan(following(stored(), suspended), TRAINED))).toHaveLength(1);
});

test('without a claim a run reports from the start that it cannot be evaluated, and completes', () => {
  const first = plan(aRun());
  expect(condition(first, 'Evaluated')).toMatchObject({
    status: 'False',
    reason: 'NoCheckpointVolume',
    message: expect.stringContaining('checkpoints.storage.volumeClaimName'),
  });
  expect(first.events).toEqual([]);
  const complete = plan(following(aRun(), first), TRAINED);
  expect(complete.status.phase).toBe('Complete');
  expect(evaluationsIn(complete)).toEqual([]);
});

test('a run without evaluation has no condition for one', () => {
  const complete = plan(stored({ atEnd: false }), TRAINED);
  expect(complete.status.phase).toBe('Complete');
  expect(condition(complete, 'Evaluated')).toBeUndefined();
});

test.each([
  ['before the slowest has come so far', trainedOn(99), []],
  ['at the first multiple', trainedOn(100), ['small--evaluation-100']],
  ['for the newest multiple alone', trainedOn(399), ['small--evaluation-300']],
  ['before every module has a checkpoint', trainedOn(300, null), []],
  [
    'while another is at work',
    withEvaluation(trainedOn(399), jobOf(plan(stored({ everySamples: 100 }), trainedOn(200)))),
    [],
  ],
  ['after it was done', trainedOn(399), [], { evaluatedSamples: 300 }],
  ['with every module past its budget', { ...trainedOn(640), ...forwarding() }, []],
])('every 100 samples: %s', (_, observed, names, status?: RunStatus) => {
  expect(namesIn(plan(stored({ everySamples: 100 }, {}, status), observed))).toEqual(names);
});

function forwarding(): Partial<Observed> {
  const spent = { samplesTrained: 640, checkpointStep: 1, phase: 'forwarding' } as const;
  return { reports: [aReport('first', spent), aReport('second', spent)] };
}

test('evaluations of a training run show in status, and make room for the next', () => {
  const run = stored({ everySamples: 100 });
  const first = plan(run, trainedOn(320));
  const job = ended(jobOf(first), 'Complete');
  const observed = withEvaluation(trainedOn(340), job, [donePod(RESULT)]);
  const read = plan(following(run, first), observed);
  expect(read.status).toMatchObject({ phase: 'Training', evaluatedSamples: 300 });
  expect(row(read, 'first')).toMatchObject({ accuracy: 0.5 });
  expect(removed(read)).toEqual([]);

  const second = plan(following(run, read), withEvaluation(trainedOn(400), job, [donePod(RESULT)]));
  expect(namesIn(second)).toEqual(['small--evaluation-400']);
  const next = { ...jobOf(second), metadata: { ...jobOf(second).metadata, uid: 'job-next' } };
  const failed = ended(next, 'Failed', { message: 'boom' });
  const both = withEvaluation(withEvaluation(trainedOn(450), job, [donePod(RESULT)]), failed);
  const after400 = plan(following(run, second), both);
  expect(after400.status.evaluatedSamples).toBe(400);
  expect(condition(after400, 'Evaluated')).toMatchObject({
    status: 'False',
    message: 'the evaluation after 400 samples failed: boom',
  });
  expect(row(after400, 'first')).toMatchObject({ accuracy: 0.5 });
  expect(removed(after400)).toEqual(['Job/small--evaluation-300']);
});

test('the final evaluation replaces one that is still running', () => {
  const run = stored({ everySamples: 100 });
  const job = jobOf(plan(run, trainedOn(600)));
  const planned = plan(run, withEvaluation(TRAINED, job));
  expect(namesIn(planned)).toEqual(['small--evaluation-end']);
  expect(removed(planned)).toEqual(['Job/small--evaluation-600']);
});

test('a run that fails removes its running evaluation', () => {
  const run = stored({ everySamples: 100 });
  const first = plan(run, trainedOn(300));
  const jobs = [ended(aJob('first', run), 'Failed'), aJob('second', run), jobOf(first)];
  const failed = plan(following(run, first), { jobs });
  expect(failed.status.phase).toBe('Failed');
  expect(condition(failed, 'Evaluated')?.reason).toBe('EvaluationStopped');
  expect(removed(failed)).toEqual(['Job/small-second', 'Job/small--evaluation-300']);
});

test('a running evaluation leaves nothing to write', () => {
  const run = stored({ everySamples: 100 });
  const first = plan(run, trainedOn(300));
  const observed = withEvaluation(trainedOn(300), jobOf(first), [aPod('evaluation')]);
  const settled = plan(following(run, first), observed);
  const again = plan(following(run, settled), observed, after(7));
  expect(again.status).toEqual(settled.status);
  expect(again.events).toEqual([]);
});
