import { expect, test } from 'vitest';
import { natsAway } from './nats-away.ts';
import { after, aRun, atWork, condition, following, plan, START } from './testing/builders.ts';

const training = following(aRun(), plan(aRun(), atWork()));
const away = { ...atWork(), nats: natsAway(START) };
const MESSAGE =
  'the operator does not reach NATS since 2026-01-01T00:00:00Z, so modules cannot exchange samples; start the NATS server again, or correct the address that the operator was given';

test('while NATS is away, a run says since when and what helps, and nothing of silent trainers', () => {
  const planned = plan(training, away, after(60));
  expect(planned.status).toMatchObject({ phase: 'Training', message: MESSAGE });
  expect(condition(planned, 'NATSReachable')).toMatchObject({
    status: 'False',
    reason: 'NATSUnavailable',
    message: MESSAGE,
  });
  expect(condition(planned, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'NATSUnavailable',
  });
  expect(planned.status.modules?.every(({ reason }) => reason === undefined)).toBe(true);
});

test('going and coming back have one event each', () => {
  const gone = plan(training, away, after(6));
  const still = plan(following(aRun(), gone), away, after(60));
  const reports = atWork().reports?.map((report) => ({ ...report, at: after(61).getTime() })) ?? [];
  const back = plan(following(aRun(), still), { ...atWork(), reports }, after(62));
  const told = [gone, still, back].map(({ events }) =>
    events.map(({ type, reason }) => `${type} ${reason}`),
  );
  expect(told).toEqual([['Warning NATSUnavailable'], [], ['Normal NATSConnected']]);
  expect(condition(back, 'NATSReachable')?.status).toBe('True');
  expect(condition(back, 'Progressing')?.status).toBe('True');
});

test('where NATS only lacks room, trainers that are silent are told of', () => {
  const full = { ...atWork(), nats: { reason: 'NatsLimitReached', message: 'no room' } };
  const planned = plan(training, full, after(60));
  expect(planned.status.modules?.[0]?.reason).toBe('NoReports');
  expect(planned.status.conditions).toContainEqual(
    expect.objectContaining({ status: 'False', reason: 'NatsLimitReached', message: 'no room' }),
  );
});

test('a run that never lost NATS says nothing of it', () => {
  expect(condition(plan(training, atWork()), 'NATSReachable')).toBeUndefined();
});
