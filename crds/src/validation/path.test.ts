import { expect, it } from 'vitest';
import { formatPath, isObject, show, valueAt } from './path.ts';

it('writes a path as a run file would be read', () => {
  expect(formatPath([])).toBe('.');
  expect(formatPath(['spec', 'modules', 1, 'layers', 0, 'channels'])).toBe(
    'spec.modules[1].layers[0].channels',
  );
  expect(formatPath([0, 'a'])).toBe('[0].a');
});

it('shows a value in at most 60 characters', () => {
  expect(show('a')).toBe('"a"');
  expect(show(undefined)).toBe('undefined');
  const quoted = (length: number) => 'x'.repeat(length - 2);
  expect(show(quoted(60))).toBe(`"${quoted(60)}"`);
  expect(show(quoted(61))).toBe(`"${'x'.repeat(56)}...`);
  expect(show(quoted(61))).toHaveLength(60);
});

it('tells objects from lists, null and the rest', () => {
  expect([{}, { a: 1 }, [], null, 'a', undefined].map(isObject)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

it('finds what stands at a path, and nothing where a parent is missing or null', () => {
  const value = { a: [{ b: 1 }], empty: null };
  expect(valueAt(value, ['a', 0, 'b'])).toBe(1);
  expect(valueAt(value, [])).toBe(value);
  expect(valueAt(value, ['empty', 'b', 0])).toBeUndefined();
  expect(valueAt(value, ['none', 'b', 0])).toBeUndefined();
});
