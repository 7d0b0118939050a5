import fc from 'fast-check';
import { expect, it } from 'vitest';
import { printable } from './printable.ts';

it.each([
  ['\u001b[2Jcleared', '\u{fffd}[2Jcleared'],
  ['\u001b]0;title\u0007', '\u{fffd}]0;title\u{fffd}'],
  ['\u009b31mred', '\u{fffd}31mred'],
  ['over\rwritten', 'over\u{fffd}written'],
  ['\u202eright to left', '\u{fffd}right to left'],
  ['two\nlines\tand a tab', 'two\nlines\tand a tab'],
  ['Größe 12 µm ✓', 'Größe 12 µm ✓'],
])('%j is shown as %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

it('no text makes a terminal do anything', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(printable(text)).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    }),
    { seed: 29, numRuns: 2000 },
  );
});
