import { expect, test } from 'vitest';
import { humanDuration } from './duration.ts';

test.each([
  [0, '0s'],
  [59, '59s'],
  [60, '1m'],
  [90, '1m30s'],
  [3600, '1h'],
  [3661, '1h1m'],
  [215_083, '2d11h'],
  [31_536_000, '365d'],
])('%d s are %s', (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text);
});
