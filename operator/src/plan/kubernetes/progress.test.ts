import { expect, test } from 'vitest';
import { figuresOf } from './progress.ts';
import { aReport } from './test-builders.ts';

test('one trainer: its figures, percent and the time that is left', () => {
  const report = aReport('second', {
    stalenessSteps: { p50: 1.234, p95: 4 },
    stalenessSeconds: { p50: 0.5, p95: 1 },
    samplesDropped: 7,
    checkpointStep: 9,
  });
  expect(figuresOf([report])).toEqual({
    step: 10,
    samples: 320,
    percent: 50,
    etaSeconds: 10,
    loss: 2.5,
    samplesPerSecond: 32,
    stalenessSteps: { p50: 1.23, p95: 4 },
    stalenessSeconds: { p50: 0.5, p95: 1 },
    samplesDropped: 7,
    samplesReused: 0,
    checkpointStep: 9,
  });
});

test('several trainers: samples and speeds add up, losses are averaged', () => {
  const reports = [aReport('first'), aReport('first', { replica: 1, loss: 3.5, step: 30 })];
  expect(figuresOf(reports)).toMatchObject({
    step: 30,
    samples: 640,
    percent: 50,
    loss: 3,
    samplesPerSecond: 64,
  });
});

test('a loss that is no number is not written', () => {
  expect(figuresOf([aReport('first', { loss: Number.NaN })])).not.toHaveProperty('loss');
});

test('without a report what was known stays, but for the speed and the time left', () => {
  const { etaSeconds, samplesPerSecond, ...rest } = figuresOf([aReport('first')]);
  expect(figuresOf([], figuresOf([aReport('first')]))).toEqual(rest);
});

test('a trainer that starts again does not make its module forget its loss', () => {
  const fresh = aReport('first', { phase: 'starting', loss: null, samplesPerSecond: 0 });
  expect(figuresOf([fresh], { loss: 2.5 })).toMatchObject({ loss: 2.5 });
});
