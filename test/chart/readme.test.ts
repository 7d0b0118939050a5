import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeValues, UndescribedValueError, withTable } from '../../charts/readme.ts';
import { CHART } from './render.ts';

const readme = readFileSync(join(CHART, 'README.md'), 'utf8');
const values = readFileSync(join(CHART, 'values.yaml'), 'utf8');

it('the table of values is up to date', () => {
  expect(withTable(readme, describeValues(values))).toBe(readme);
});

it('every file of values in ci/ is in the README, and the README names no other', () => {
  const named = [...readme.matchAll(/^\| `([a-z-]+\.yaml)` \|/gm)].map(([, name]) => name);
  expect(named.toSorted()).toEqual(readdirSync(join(CHART, 'ci')).toSorted());
});

it('a value takes its description from the comment above it, also the first of a map', () => {
  const yaml = '# Of a.\na: 1\nb:\n  # Of c,\n  # on two lines.\n  c: {}\n  # Of d.\n  d: [2]\n';
  expect(describeValues(yaml)).toEqual([
    { path: 'a', description: 'Of a.', preset: '1' },
    { path: 'b.c', description: 'Of c, on two lines.', preset: '{}' },
    { path: 'b.d', description: 'Of d.', preset: '[2]' },
  ]);
});

it('a value without a comment is an error that names it', () => {
  expect(() => describeValues('a:\n  # Of b.\n  b: 1\n  c: 2\n')).toThrow(UndescribedValueError);
  expect(() => describeValues('a:\n  # Of b.\n  b: 1\n  c: 2\n')).toThrow(/no comment above a\.c/);
});
