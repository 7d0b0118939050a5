import { expect, test } from 'vitest';
import { canonicalJson, childName, millis, selectorOf, timestamp } from './objects.ts';

test('a module is called after its run', () => {
  expect(childName('digits', 'edges')).toBe('digits-edges');
});

test('a name that is too long for a pod keeps its beginning and gets a hash', () => {
  const names = ['a', 'b'].map((end) => childName('r'.repeat(40), `${'m'.repeat(39)}${end}`));
  for (const name of names) {
    expect(`${name}-999`.length).toBeLessThanOrEqual(63);
    expect(name).toMatch(/^r{40}-m+-[0-9a-f]{8}$/);
  }
  expect(names[0]).not.toBe(names[1]);
});

test('the selector names run and module', () => {
  expect(selectorOf('digits', 'edges')).toBe(
    'greedyinfomax.dev/run=digits,greedyinfomax.dev/module=edges',
  );
});

test('equal values give equal text for any order of their keys', () => {
  expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[{"c":2,"d":1}]}');
});

test('times are read from dates and from text, and written in whole seconds', () => {
  const time = '2026-01-01T00:00:01Z';
  expect(millis(time)).toBe(millis(new Date(time)));
  expect(millis(undefined)).toBeUndefined();
  expect(timestamp(new Date('2026-01-01T00:00:01.999Z'))).toBe(time);
});
