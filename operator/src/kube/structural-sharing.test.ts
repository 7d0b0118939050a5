import { expect, it } from 'vitest';
import { share } from './structural-sharing.ts';

const job = (name: string) => ({
  metadata: { name, labels: { job: name } },
  spec: { containers: [{ image: 'trainer', env: ['A', 'B'] }], volumes: [{ map: `${name}-map` }] },
});
const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

it('keeps once what two objects have alike', () => {
  const first = job('first');
  const second = share(job('second'), first);
  expect(second).toEqual(job('second'));
  expect(second.spec.containers).toBe(first.spec.containers);
  expect(second.spec.volumes).not.toBe(first.spec.volumes);
  expect(first).toEqual(job('first'));
});

it('takes an equal object whole', () => {
  const first = job('first');
  expect(share(copyOf(first), first)).toBe(first);
});

it.each([
  [{ a: 1 }, { a: 1, b: 2 }],
  [{ a: undefined }, { b: undefined }],
  [[1], [1, 2]],
  [[], {}],
  [{}, []],
  [{ a: null }, { a: {} }],
  [{ a: { b: 1 } }, { a: null }],
  [{ a: 'x' }, 'x'],
  [{ a: 1 }, undefined],
])('leaves %j as it is, unlike %j', (value, like) => {
  const shared = share(copyOf(value), like);
  expect(shared).toEqual(copyOf(value));
  expect(shared).not.toBe(like);
});
