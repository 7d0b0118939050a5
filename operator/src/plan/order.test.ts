import { expect, test } from 'vitest';
import { mayBegin, releasable, waitsFor } from './order.ts';

const earlier = (...spent: boolean[]) => spent.map((each, i) => ({ name: `m${i}`, spent: each }));

test('modules that train simultaneously wait for no module', () => {
  expect(waitsFor('simultaneous', earlier(false, false))).toBeUndefined();
});

test('one after another: a module waits for the first of those before it that has budget left', () => {
  expect(waitsFor('iterative', earlier(false, false))).toBe('m0');
  expect(waitsFor('iterative', earlier(true, false))).toBe('m1');
});

test('one after another: the first module, and one whose earlier ones are trained, may begin', () => {
  expect(waitsFor('iterative', [])).toBeUndefined();
  expect(waitsFor('iterative', earlier(true, true))).toBeUndefined();
});

test('modules begin all at once, or each behind the one that is trained', () => {
  const all = ['m0', 'm1', 'm2'];
  expect(mayBegin('simultaneous', all, new Set())).toEqual(all);
  expect(mayBegin('iterative', all, new Set())).toEqual(['m0']);
  expect(mayBegin('iterative', all, new Set(['m0']))).toEqual(['m0', 'm1']);
});

const modules = ['a', 'b', 'c'];

test('at the start only the last module, which has no consumer, may end', () => {
  expect(releasable(modules, new Set())).toEqual(['c']);
});

test('a module goes on until every later one has spent its budget', () => {
  expect(releasable(modules, new Set(['a', 'b']))).toEqual(['c']);
  expect(releasable(modules, new Set(['a', 'c']))).toEqual(['b', 'c']);
  expect(releasable(modules, new Set(['b', 'c']))).toEqual(['a', 'b', 'c']);
});

test('all may end when all are done', () => {
  expect(releasable(modules, new Set(modules))).toEqual(modules);
});
