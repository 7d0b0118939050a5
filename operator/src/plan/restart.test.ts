import { EXIT } from '@greedy-infomax/crds';
import { expect, test } from 'vitest';
import { restartDecision } from './restart.ts';

test('a trainer that ended well is done', () => {
  expect(restartDecision({ exitCode: EXIT.ok, signal: null, isProven: true, attempts: 7 })).toEqual(
    {
      action: 'done',
    },
  );
});

test('exit code 0 without proof is a failure as any other', () => {
  const ended = { exitCode: EXIT.ok, signal: null, isProven: false };
  expect(restartDecision({ ...ended, attempts: 1 })).toEqual({
    action: 'restart',
    afterSeconds: 1,
  });
  expect(restartDecision({ ...ended, attempts: 7 })).toEqual({
    action: 'fail',
    why: expect.stringMatching(/code 0 and no proof of a finished training, 7 times/),
  });
});

test('a final exit code fails at the first attempt and says why', () => {
  for (const [exitCode, why] of [
    [EXIT.configuration, /64.*configuration/],
    [EXIT.diverged, /65.*not a finite number/],
  ] as const) {
    const decision = restartDecision({ exitCode, signal: null, isProven: false, attempts: 1 });
    expect(decision).toEqual({ action: 'fail', why: expect.stringMatching(why) });
  }
});

test('waits twice as long after each attempt without progress, up to half a minute', () => {
  const waits = [0, 1, 2, 3, 4, 5, 6].map((attempts) =>
    restartDecision({ exitCode: EXIT.retry, signal: null, isProven: false, attempts }),
  );
  expect(waits).toEqual(
    [1, 1, 2, 4, 8, 16, 30].map((afterSeconds) => ({ action: 'restart', afterSeconds })),
  );
});

test('a trainer that was stopped or killed from outside is started again', () => {
  expect(
    restartDecision({ exitCode: EXIT.stopped, signal: null, isProven: false, attempts: 1 }).action,
  ).toBe('restart');
  expect(
    restartDecision({ exitCode: null, signal: 'SIGKILL', isProven: false, attempts: 1 }).action,
  ).toBe('restart');
});

test('the seventh attempt without progress is the last, and the reason says how it ended', () => {
  const why = (exitCode: number | null, signal: string | null) =>
    restartDecision({ exitCode, signal, isProven: false, attempts: 7 });
  const fails = (ended: string) => ({
    action: 'fail',
    why: `the trainer ended ${ended}, 7 times in a row without a step of progress`,
  });
  expect(why(null, 'SIGSEGV')).toEqual(fails('by SIGSEGV'));
  expect(why(null, null)).toEqual(fails('by a signal'));
  expect(why(1, null)).toEqual(fails('with code 1'));
  expect(why(EXIT.ok, null)).toEqual(fails('with code 0 and no proof of a finished training'));
});
