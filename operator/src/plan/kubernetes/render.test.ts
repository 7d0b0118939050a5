import type { Run } from '@greedy-infomax/crds';
import { expect, test } from 'vitest';
import { renderRun, UnrenderableRunError } from './render.ts';
import { aRun, OPTIONS } from './testing/builders.ts';

const render = (change: Partial<Run['spec']> = {}) => {
  const { apiVersion, kind, spec } = aRun(change);
  return renderRun({ apiVersion, kind, metadata: { name: 'small' }, spec }, 'team', OPTIONS);
};

test('a rendered run has the objects and streams of each module, in its namespace, without owners', () => {
  const { objects, streams } = render();
  const count = (kind: string) => objects.filter((object) => object.kind === kind).length;
  expect([count('GreedyInfoMaxModule'), count('ConfigMap'), count('Job')]).toEqual([2, 2, 2]);
  for (const { metadata } of objects) {
    expect(metadata?.namespace).toBe('team');
    expect(metadata).not.toHaveProperty('ownerReferences');
  }
  expect(streams.map(({ name }) => name)).toEqual(['GIM_team_small_first', 'GIM_team_small']);
});

test('what the run asks for stands in its Jobs', () => {
  const { objects } = render({ suspend: true, podTemplate: { image: 'mine:2' } });
  for (const job of objects.filter(({ kind }) => kind === 'Job')) {
    expect(job).toMatchObject({
      spec: { suspend: true, template: { spec: { containers: [{ image: 'mine:2' }] } } },
    });
  }
});

test('a run that the operator would fail is refused with its reason', () => {
  const broken = { data: { format: 'idx', path: '/data' }, training: { epochs: 2 } } as const;
  expect(() => render(broken)).toThrow(UnrenderableRunError);
  expect(() => render(broken)).toThrow(/give training.samples/);
});

test('the same file gives the same objects', () => {
  expect(render()).toEqual(render());
});
