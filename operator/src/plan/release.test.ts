import { expect, test } from 'vitest';
import { releasable } from './release.ts';

const modules = ['a', 'b', 'c'];

test('at the start only the last module, which feeds nobody, may end', () => {
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
