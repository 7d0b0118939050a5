import type { Report } from '@greedy-infomax/crds';
import { describe, expect, test } from 'vitest';
import { mergeReports, SampleCounts } from './merge-reports.ts';

const report = (fields: Partial<Report> = {}): Report => ({
  run: 'r',
  module: 'm',
  replica: 0,
  phase: 'training',
  step: 10,
  samplesTrained: 320,
  samplesTotal: 640,
  loss: 2,
  lossFirst: 4,
  samplesPerSecond: 100,
  stalenessSteps: { p50: 1, p95: 3 },
  stalenessSeconds: { p50: 0.5, p95: 2 },
  samplesDropped: 5,
  samplesReused: 7,
  memoryBytes: 1000,
  checkpointStep: 8,
  at: 1_000,
  ...fields,
});

describe('the samples of a module', () => {
  test('are the sum over all replicas, each by its newest report', () => {
    const counts = new SampleCounts();
    expect([counts.total('m'), counts.of('m')]).toEqual([0, {}]);
    counts.note(report({ samplesTrained: 10 }));
    counts.note(report({ samplesTrained: 30 }));
    counts.note(report({ replica: 1, samplesTrained: 5 }));
    counts.note(report({ module: 'other', samplesTrained: 1000 }));
    expect(counts.of('m')).toEqual({ 0: 30, 1: 5 });
    expect(counts.total('m')).toBe(35);
  });

  test('include those of a replica that only its peers know, until it reports itself', () => {
    const counts = new SampleCounts();
    counts.note(report({ samplesTrained: 10, others: { 1: 50 } }));
    expect(counts.of('m')).toEqual({ 0: 10, 1: 50 });
    counts.note(report({ replica: 1, samplesTrained: 60, others: { 0: 9 } }));
    counts.note(report({ samplesTrained: 11, others: { 1: 50 } }));
    expect(counts.of('m')).toEqual({ 0: 11, 1: 60 });
  });

  test.each(['starting', 'failed'] as const)('do not change by a report that is %s', (phase) => {
    const counts = new SampleCounts();
    counts.note(report({ samplesTrained: 10 }));
    counts.note(report({ phase, samplesTrained: 0 }));
    expect(counts.total('m')).toBe(10);
  });
});

describe('the report of a module', () => {
  test('is that of its only trainer, with the samples of all that there were', () => {
    const own = report({ message: 'words', others: { 1: 5 } });
    expect(mergeReports([own], 400)).toEqual({ ...own, samplesTrained: 400 });
    expect(mergeReports([], 400)).toBeUndefined();
  });

  test('has the mean of losses and medians, the sum of counts, the greatest of the rest', () => {
    const other = report({
      replica: 1,
      step: 14,
      loss: 3,
      lossFirst: 6,
      samplesPerSecond: 50,
      stalenessSteps: { p50: 3, p95: 4 },
      stalenessSeconds: { p50: 1.5, p95: 1 },
      samplesDropped: 1,
      samplesReused: 2,
      memoryBytes: 3000,
      checkpointStep: 12,
      at: 2_000,
    });
    expect(mergeReports([report({ others: { 1: 1 } }), other], 500)).toEqual({
      ...report(),
      step: 14,
      samplesTrained: 500,
      loss: 2.5,
      lossFirst: 5,
      samplesPerSecond: 150,
      stalenessSteps: { p50: 2, p95: 4 },
      stalenessSeconds: { p50: 1, p95: 2 },
      samplesDropped: 6,
      samplesReused: 9,
      memoryBytes: 3000,
      checkpointStep: 12,
      at: 2_000,
    });
  });

  test('leaves out what a trainer does not know yet', () => {
    const fresh = report({
      replica: 1,
      phase: 'starting',
      loss: null,
      lossFirst: null,
      stalenessSteps: null,
      stalenessSeconds: null,
      memoryBytes: undefined,
      checkpointStep: null,
    });
    expect(mergeReports([report(), fresh], 320)).toMatchObject({
      loss: 2,
      lossFirst: 4,
      stalenessSteps: { p50: 1, p95: 3 },
      stalenessSeconds: { p50: 0.5, p95: 2 },
      memoryBytes: 1000,
      checkpointStep: 8,
      samplesPerSecond: 100,
    });
    const merged = mergeReports([fresh, fresh], 0);
    expect(merged).toMatchObject({ loss: null, stalenessSteps: null, checkpointStep: null });
    expect(merged?.memoryBytes).toBeUndefined();
  });

  test.each([
    [['training', 'failed'], 'failed'],
    [['starting', 'training'], 'training'],
    [['forwarding', 'starting'], 'starting'],
    [['finished', 'forwarding'], 'forwarding'],
    [['finished', 'finished'], 'finished'],
  ] as const)('has of the phases %j the phase %s', (phases, phase) => {
    const reports = phases.map((each, replica) => report({ replica, phase: each }));
    expect(mergeReports(reports, 1)?.phase).toBe(phase);
  });

  test('counts only the rate of trainers that train, and gives the first message', () => {
    const reports = [
      report({ phase: 'forwarding' }),
      report({ replica: 1, samplesPerSecond: 40, message: 'first' }),
      report({ replica: 2, samplesPerSecond: 2, message: 'second' }),
    ];
    expect(mergeReports(reports, 1)).toMatchObject({ samplesPerSecond: 42, message: 'first' });
    expect(mergeReports([report(), report()], 1)).not.toHaveProperty('message');
  });
});
