import { expect, test } from 'vitest';
import {
  after,
  aJob,
  aRun,
  atWork,
  condition,
  ended,
  following,
  plan,
  removed,
  trained,
} from './testing/builders.ts';

test('a run has its modules, their configurations and Jobs, and a stream between them', () => {
  const { apply, streams, remove } = plan(aRun());
  expect(apply.map(({ kind }) => kind)).toEqual([
    ...['GreedyInfoMaxModule', 'GreedyInfoMaxModule'],
    ...['ConfigMap', 'ConfigMap'],
    ...['Job', 'Job'],
  ]);
  expect(streams?.map(({ name }) => name)).toEqual(['GIM_team_small_first', 'GIM_team_small']);
  expect(remove).toEqual([]);
});

test.each(['kueue.x-k8s.io/multikueue', 'someone-else'])('managedBy %s: hands off', (managedBy) => {
  const status = { phase: 'Training' as const };
  const run = aRun({ managedBy, ttlSecondsAfterFinished: 0 }, { status });
  expect(plan(run, atWork())).toEqual({
    apply: [],
    remove: [],
    streams: [],
    status,
    moduleStatus: new Map(),
    events: [],
    released: [],
  });
});

test('managedBy this operator is the same as leaving it out', () => {
  expect(plan(aRun({ managedBy: 'greedyinfomax.dev/operator' }))).toEqual(plan(aRun()));
});

test('of a run that is being deleted only the streams are to be removed', () => {
  const run = aRun({}, { metadata: { deletionTimestamp: new Date() } });
  expect(plan(run, atWork())).toMatchObject({ apply: [], remove: [], streams: null, events: [] });
});

test.each(['Complete', 'Failed'] as const)('a run that is %s never starts again', (type) => {
  const jobs = [ended(aJob('first'), type), ended(aJob('second'), type)];
  const { pods } = trained();
  const finished = following(aRun(), plan(aRun(), { jobs, pods }));
  const again = plan(finished, {}, after(1000));
  expect(again).toMatchObject({ apply: [], remove: [], streams: null, events: [] });
  expect(again.status).toEqual(finished.status);
  expect(removed(plan(finished, atWork()))).toEqual(['Job/small-first', 'Job/small-second']);
});

test('modules are released from the end on, as the later ones have spent their budget', () => {
  const released = (first: 'training' | 'forwarding', second: 'training' | 'forwarding') => {
    const [a] = atWork(first).reports ?? [];
    const [, b] = atWork(second).reports ?? [];
    return plan(aRun(), { ...atWork(), reports: a && b ? [a, b] : [] }).released;
  };
  expect(released('training', 'training')).toEqual(['second']);
  expect(released('forwarding', 'training')).toEqual(['second']);
  expect(released('training', 'forwarding')).toEqual(['first', 'second']);
});

/** The plan cannot tell how many samples an epoch of it has. */
const UNKNOWN_SIZE = { format: 'idx', path: '/data' } as const;

test('an invalid run fails before it starts, with all validation errors', () => {
  const planned = plan(aRun({ patches: { size: 4, stride: 40 } }));
  expect(planned.apply).toEqual([]);
  expect(planned.streams).toBeNull();
  expect(condition(planned, 'Failed')).toMatchObject({ status: 'True', reason: 'InvalidRun' });
  const run = aRun({ data: UNKNOWN_SIZE, training: { epochs: 2 } });
  expect(condition(plan(run), 'Failed')?.message).toMatch(/give training.samples/);
  expect(plan(run, {}, after(0), { dataSetSize: 64 }).apply).toHaveLength(6);
});

test('fields of a later version change nothing', () => {
  const run = aRun();
  const [first, ...rest] = run.spec.modules;
  const modules = [{ ...first, note: 'new' }, ...rest];
  const later = { ...run, spec: { ...run.spec, modules, note: 'new' } } as typeof run;
  expect(plan(later)).toEqual(plan(run));
});

test('a run that trains outlives a change that cannot work, and says so once', () => {
  const run = aRun({ data: UNKNOWN_SIZE });
  const trains = following(run, plan(run, atWork()));
  const broken = { ...trains, spec: { ...trains.spec, training: { epochs: 2 } } };
  const held = plan(broken, atWork());
  expect(held).toMatchObject({ apply: [], remove: [], streams: [], released: ['second'] });
  expect(condition(held, 'Progressing')).toMatchObject({ status: 'False', reason: 'InvalidRun' });
  expect(held.events).toEqual([expect.objectContaining({ type: 'Warning', reason: 'InvalidRun' })]);
  expect(plan(following(broken, held), atWork()).events).toEqual([]);
  expect(condition(plan(following(run, held), atWork()), 'Progressing')?.status).toBe('True');
});

test('a status that a newer operator wrote is planned with, and its unknown fields do not come back', () => {
  const { status } = plan(aRun());
  const modules = status.modules?.map((each) => ({ ...each, phase: 'Hibernating', novelty: 1 }));
  const newer = { ...status, phase: 'Hibernating', novelty: { a: [1] }, modules };
  const next = plan(aRun({}, { status: newer as never }));
  expect(next.status).not.toHaveProperty('novelty');
  expect(next.status.phase).toBe('Pending');
  expect(next.status.modules?.map(({ phase }) => phase)).toEqual(['Pending', 'Pending']);
  expect(JSON.stringify(next.status)).not.toContain('novelty');
  expect(next.apply).toEqual(plan(aRun()).apply);
});
