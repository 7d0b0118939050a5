import { expect, test } from 'vitest';
import { withNameTaken } from './obstacles.ts';
import { after, aRun, condition, following, plan } from './testing/builders.ts';

const run = aRun();
const other = {
  kind: 'Job',
  name: 'small-first',
  owner: { kind: 'GreedyInfoMaxRun', name: 'small-er' },
};
const blocked = withNameTaken(run, plan(run), other, after(0));

test('a run whose object is another’s waits and says whose it is, once', () => {
  const message =
    'Job small-first belongs to GreedyInfoMaxRun small-er; give this run another name, or delete the other';
  expect(blocked.status).toMatchObject({ phase: 'Pending', message });
  expect(condition(blocked, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'NameTaken',
    message,
  });
  expect(blocked.events).toEqual([{ type: 'Warning', reason: 'NameTaken', message }]);
  expect(blocked.requeueAfterSeconds).toBe(10);
});

test('as long as it stays so there is nothing new to write', () => {
  const next = following(run, blocked);
  const again = withNameTaken(next, plan(next, {}, after(30)), other, after(30));
  expect(again.status).toEqual(blocked.status);
  expect(again.events).toEqual([]);
});

test('once the name is free the run goes on', () => {
  const next = following(run, blocked);
  expect(condition(plan(next, {}, after(30)), 'Progressing')?.reason).not.toBe('NameTaken');
});

test('an object without a controller was made by somebody', () => {
  const { status } = withNameTaken(run, plan(run), { kind: 'Job', name: 'small-first' }, after(0));
  expect(status.message).toMatch(/^Job small-first was made by somebody else; give/);
});

test('what an earlier run of the name left is waited for without alarm', () => {
  const former = { ...other, owner: { kind: 'GreedyInfoMaxRun', name: run.metadata.name } };
  const waiting = withNameTaken(run, plan(run), former, after(0));
  expect(waiting.status.message).toBe(
    'waits for Job small-first of an earlier run of this name to go',
  );
  expect(waiting.events).toEqual([]);
  expect(waiting.requeueAfterSeconds).toBe(1);
});
