import { expect, test } from 'vitest';
import { parseRunDefaults, RunDefaultsError } from './run-defaults.ts';

const parse = (value: unknown) => parseRunDefaults(JSON.stringify(value), '--run-defaults');

test('reads the defaults of an installation', () => {
  const defaults = {
    podTemplate: { spec: { imagePullSecrets: [{ name: 'registry' }], nodeName: 'n' } },
    podSecurityContext: { runAsNonRoot: true },
    cleanupResources: { limits: { cpu: 1 } },
    backoffLimit: 3,
  };
  expect(parse(defaults)).toEqual(defaults);
  expect(parse({})).toEqual({});
});

test.each([
  ['a field that it does not know', { resource: {} }, /--run-defaults: .*"resource"/],
  ['a wrong value, by its path', { backoffLimit: -1 }, /--run-defaults: backoffLimit: /],
])('refuses %s', (_, value, message) => {
  expect(() => parse(value)).toThrow(RunDefaultsError);
  expect(() => parse(value)).toThrow(message);
});

test('refuses what is not JSON', () => {
  expect(() => parseRunDefaults('{', '--run-defaults')).toThrow(/^--run-defaults is not JSON: /);
});
