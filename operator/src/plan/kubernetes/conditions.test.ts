import { expect, test } from 'vitest';
import { withConditions } from './conditions.ts';
import { after, START } from './testing/builders.ts';

const ready = (status: boolean, reason = 'A', message = 'words') =>
  ({ type: 'Ready', status, reason, message }) as const;
const at = (seconds: number) => ({ now: after(seconds), generation: 3 });

test('a condition has all that metav1.Condition asks for', () => {
  expect(withConditions(undefined, [ready(true)], { now: START, generation: 3 })).toEqual([
    {
      type: 'Ready',
      status: 'True',
      reason: 'A',
      message: 'words',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: 3,
    },
  ]);
});

test.each([
  ['the same again', ready(true), 0],
  ['another reason', ready(true, 'B', 'others'), 0],
  ['another status', ready(false), 5],
])('lastTransitionTime moves with the status alone: %s', (_, next, moved) => {
  const [first] = withConditions([], [ready(true)], at(0));
  const [second] = withConditions(first && [first], [next], at(5));
  expect(second?.lastTransitionTime).toBe(`2026-01-01T00:00:0${moved}Z`);
  expect(second).toMatchObject({ reason: next.reason, message: next.message });
});

test('conditions that do not change stay, in their order', () => {
  const old = withConditions([], [ready(true), { ...ready(false), type: 'Suspended' }], at(0));
  const next = withConditions(old, [ready(false)], at(5));
  expect(next.map(({ type }) => type)).toEqual(['Ready', 'Suspended']);
  expect(next[1]).toEqual(old[1]);
});

test.each([
  ['ErrImagePull', 'ErrImagePull'],
  ['two words: 1', 'twowords:1'],
  ['', 'Unknown'],
  ['1:', 'Unknown'],
])('reason %j is written as %s', (reason, expected) => {
  expect(withConditions([], [ready(true, reason)], at(0))[0]?.reason).toBe(expected);
});
