import { describe, expect, it } from 'vitest';
import { LineCounter } from 'yaml';
import { SCALARS } from './testing/kubectl-scalars.ts';
import { parseLikeKubectl } from './yaml.ts';

/** Values as kubectl reads them; test/e2e/kubectl.test.ts compares the same table with kubectl itself. */

const read = (text: string): unknown => {
  const [document] = parseLikeKubectl(text, new LineCounter());
  expect(document?.errors).toEqual([]);
  return document?.toJS();
};

describe('a scalar', () => {
  it.each(Object.entries(SCALARS))('%s is read as kubectl reads it', (text, value) => {
    expect(read(`field: ${text}`)).toEqual({ field: value });
  });

  it.each([
    ['.nan', Number.NaN],
    ['.NaN', Number.NaN],
    ['.inf', Number.POSITIVE_INFINITY],
    ['+.Inf', Number.POSITIVE_INFINITY],
    ['-.INF', Number.NEGATIVE_INFINITY],
  ])('%s is the number %d', (text, value) => {
    expect(read(text)).toBe(value);
  });

  it('that contradicts its tag is an error', () => {
    const [document] = parseLikeKubectl('!!int twelve', new LineCounter());
    expect(document?.errors[0]?.message).toBe('Unresolved tag: tag:yaml.org,2002:int');
  });
});

it('merge keys add what the map itself lacks', () => {
  expect(read('{ a: &a { p: 1, q: 2 }, b: { <<: *a, q: 3 } }')).toEqual({
    a: { p: 1, q: 2 },
    b: { p: 1, q: 3 },
  });
});

it('a key that occurs twice is an error, also in another spelling', () => {
  const [document] = parseLikeKubectl('{ yes: 1, on: 2 }', new LineCounter());
  expect(document?.errors[0]?.message).toBe('Map keys must be unique: true occurs twice');
});
