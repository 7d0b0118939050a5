import { expect, test } from 'vitest';
import { mayBegin, waitsFor } from './order.ts';

const earlier = (...spent: boolean[]) => spent.map((each, i) => ({ name: `m${i}`, spent: each }));

test('modules that train at once wait for nobody', () => {
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
  const modules = ['m0', 'm1', 'm2'];
  expect(mayBegin('simultaneous', modules, new Set())).toEqual(modules);
  expect(mayBegin('iterative', modules, new Set())).toEqual(['m0']);
  expect(mayBegin('iterative', modules, new Set(['m0']))).toEqual(['m0', 'm1']);
});
