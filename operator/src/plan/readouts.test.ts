import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dueReadout } from './readouts.ts';

const samples = fc.integer({ min: 0, max: 10_000 });

it('an evaluation is due at the newest multiple that the slowest module has passed, once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), samples, samples, (every, slowest, evaluated) => {
      const multiples = Array.from(
        { length: Math.floor(slowest / every) },
        (_, i) => (i + 1) * every,
      );
      const newest = multiples.at(-1) ?? 0;
      expect(dueReadout(every, slowest, evaluated)).toBe(newest > evaluated ? newest : undefined);
      expect(dueReadout(every, slowest, newest)).toBeUndefined();
    }),
  );
  expect(dueReadout(100, 250, 0)).toBe(200);
  expect(dueReadout(100, 99, 0)).toBeUndefined();
});
