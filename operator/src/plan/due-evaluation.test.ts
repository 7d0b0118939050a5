import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dueEvaluation } from './due-evaluation.ts';

const samples = fc.integer({ min: 0, max: 10_000 });

it('an evaluation is due at the newest multiple that the slowest module has passed, once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), samples, samples, (every, slowest, evaluated) => {
      const multiples = Array.from(
        { length: Math.floor(slowest / every) },
        (_, i) => (i + 1) * every,
      );
      const newest = multiples.at(-1) ?? 0;
      expect(dueEvaluation(every, slowest, evaluated)).toBe(
        newest > evaluated ? newest : undefined,
      );
      expect(dueEvaluation(every, slowest, newest)).toBeUndefined();
    }),
  );
  expect(dueEvaluation(100, 250, 0)).toBe(200);
  expect(dueEvaluation(100, 99, 0)).toBeUndefined();
});
