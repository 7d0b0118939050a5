import { expect, test } from 'vitest';
import { figuresOf } from './progress.ts';
import { aReport } from './testing/builders.ts';

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

test('several trainers spend one budget: samples and speeds add up, losses are averaged', () => {
  const second = { replica: 1, loss: 3.5, step: 30, samplesTrained: 160 };
  expect(figuresOf([aReport('first'), aReport('first', second)])).toMatchObject({
    step: 30,
    samples: 480,
    percent: 75,
    etaSeconds: 3,
    loss: 3,
    samplesPerSecond: 64,
  });
});

test('samples of a trainer that has left, or that starts again, count as the others know of them', () => {
  const known = aReport('first', { others: { 1: 100, 2: 50 } });
  const again = aReport('first', { replica: 1, phase: 'starting', samplesTrained: 0 });
  expect(figuresOf([known, again]).samples).toBe(470);
});

test('a loss that is NaN is not written', () => {
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
