import { expect, test } from 'vitest';
import { decodeEvaluationResult, encodeEvaluationResult } from './evaluation-result.ts';

test('what is left behind is read again, to four digits', () => {
  const text = encodeEvaluationResult({ samples: 640, modules: { first: [0.912345, 1 / 3] } });
  expect(decodeEvaluationResult(text)).toEqual({
    samples: 640,
    modules: { first: [0.9123, 0.3333] },
  });
});

test('as many modules as a run may have, with the longest names, fit into a termination message', () => {
  const names = Array.from({ length: 64 }, (_, i) => String(i).padStart(40, 'm'));
  const modules = Object.fromEntries(
    names.map((name): [string, [number, number]] => [name, [2 / 3, 1 / 3]]),
  );
  const text = encodeEvaluationResult({ samples: 1e12, modules });
  expect(text.length).toBeLessThanOrEqual(4096);
  expect(Object.keys(decodeEvaluationResult(text)?.modules ?? {})).toHaveLength(64);
});

test.each([undefined, '', 'no JSON', '{}', '{"samples":1,"modules":{"a":[2,0]}}'])(
  '%j is no result',
  (text) => {
    expect(decodeEvaluationResult(text)).toBeNull();
  },
);
