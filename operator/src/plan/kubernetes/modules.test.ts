import { expect, test } from 'vitest';
import { scaleUndone } from './children.ts';
import { aModuleObject, applied, aRun, plan, withModule } from './testing/builders.ts';

interface ModuleObject {
  metadata: { name: string; ownerReferences: unknown[] };
  spec: { runName: string; index: number; replicas?: number };
}
const objects = (...args: Parameters<typeof plan>) =>
  applied<ModuleObject>(plan(...args), 'GreedyInfoMaxModule');

test('each module has an object of its own that the run controls', () => {
  const [first, second] = objects(aRun());
  expect(first?.metadata.name).toBe('small-first');
  expect(second?.spec).toEqual({ runName: 'small', index: 1 });
  expect(first?.metadata.ownerReferences).toEqual([
    expect.objectContaining({ kind: 'GreedyInfoMaxRun', uid: 'run-1', controller: true }),
  ]);
});

test('replicas are applied only where the run file names them', () => {
  const [first, second] = objects(withModule('first', { replicas: 1 }));
  expect(first?.spec.replicas).toBe(1);
  expect(second?.spec).not.toHaveProperty('replicas');
});

test.each([
  ['one when nobody says a number', undefined, undefined, 1],
  ['what the module object was scaled to', undefined, 3, 3],
  ['what the run file says, whatever the module object was scaled to', 1, 3, 1],
])('the number of trainers is %s', (_, named, scaled, expected) => {
  const run = named === undefined ? aRun() : withModule('first', { replicas: named });
  const modules = scaled === undefined ? [] : [aModuleObject('first', scaled)];
  const [job] = applied(plan(run, { modules }), 'Job');
  expect(job?.spec).toMatchObject({ completions: expected, parallelism: expected });
});

test('the status of a module object counts its pods and says how to select them', () => {
  const { moduleStatus } = plan(aRun());
  expect(moduleStatus.get('small-first')).toMatchObject({
    phase: 'Pending',
    replicas: 0,
    readyReplicas: 0,
    selector: 'greedyinfomax.dev/run=small,greedyinfomax.dev/module=first',
  });
});

test('an event says that a module was scaled in vain, only where the run sets another number', () => {
  const scaled = aModuleObject('first', 3);
  expect(scaleUndone(withModule('first', { replicas: 1 }), scaled)).toMatchObject({
    type: 'Warning',
    reason: 'ScaleUndone',
    message: expect.stringContaining('module first: scaled to 3 replicas, but the run sets'),
  });
  expect(scaleUndone(withModule('first', { replicas: 3 }), scaled)).toBeUndefined();
  expect(scaleUndone(aRun(), scaled)).toBeUndefined();
});
