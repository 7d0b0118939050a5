import { expect, test } from 'vitest';
import { withRefused } from './obstacles.ts';
import { after, aRun, condition, following, plan } from './testing/builders.ts';

const run = aRun();
const job = { kind: 'Job', name: 'small-first', why: 'exceeded quota: gpus' };
const refused = withRefused(run, plan(run), job, after(0));

test('a run whose object is refused says why, once', () => {
  const message = 'the API server refuses Job small-first: exceeded quota: gpus';
  expect(refused.status.message).toBe(message);
  expect(condition(refused, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'ObjectRefused',
    message,
  });
  expect(refused.events.at(-1)).toEqual({ type: 'Warning', reason: 'ObjectRefused', message });
});

test('as long as it stays so there is nothing new to write', () => {
  const next = following(run, refused);
  const again = withRefused(next, plan(next, {}, after(30)), job, after(30));
  expect(again.status).toEqual(refused.status);
  expect(again.events).toEqual([]);
});

test('once the object is taken the run goes on', () => {
  const next = plan(following(run, refused), {}, after(30));
  expect(condition(next, 'Progressing')?.reason).not.toBe('ObjectRefused');
  expect(next.status.message).not.toContain('refuses');
});

test('long words are cut to what an event can hold', () => {
  const long = withRefused(run, plan(run), { ...job, why: 'x'.repeat(5000) }, after(0));
  expect(long.events.at(-1)?.message).toHaveLength(1000);
});
