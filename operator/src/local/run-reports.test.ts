import type { Report } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { RunReports } from './run-reports.ts';

const report = (changes: Partial<Report> = {}): Report => ({
  run: 'u',
  module: 'one',
  replica: 0,
  phase: 'training',
  step: 10,
  samplesTrained: 600,
  samplesTotal: 1000,
  loss: 1,
  lossFirst: 2,
  samplesPerSecond: 100,
  stalenessSteps: null,
  stalenessSeconds: null,
  samplesDropped: 0,
  samplesReused: 0,
  checkpointStep: null,
  at: 1,
  ...changes,
});

const heard = (...reports: Report[]): RunReports => {
  const all = new RunReports();
  for (const each of reports) all.note(each);
  return all;
};

describe('the reports of a run', () => {
  it('say that a module has spent its budget when its trainers have together', () => {
    expect(heard(report()).spent('one', 1)).toBe(false);
    expect(heard(report(), report({ replica: 1, samplesTrained: 300 })).spent('one', 2)).toBe(
      false,
    );
    expect(heard(report(), report({ replica: 1, samplesTrained: 400 })).spent('one', 2)).toBe(true);
  });

  it('count what trainers that have left have trained on, also of sessions before', () => {
    const left = report({ replica: 1, samplesTrained: 400 });
    expect(heard(report(), left).spent('one', 1)).toBe(true);
    const resumed = new RunReports([left]);
    resumed.note(report());
    expect(resumed.spent('one', 1)).toBe(true);
    expect(resumed.of('one', 1)?.samplesTrained).toBe(1000);
  });

  it('say nothing while a trainer does not know how far it had come, unless it has left', () => {
    const starting = report({ replica: 1, phase: 'starting', samplesTrained: 0 });
    expect(heard(report({ samplesTrained: 1000 }), starting).spent('one', 2)).toBeUndefined();
    expect(heard(report({ samplesTrained: 1000 }), starting).spent('one', 1)).toBe(true);
    expect(heard().spent('one', 1)).toBeUndefined();
  });

  it('show what the trainers that there are say together', () => {
    const all = heard(report({ loss: 1 }), report({ replica: 1, loss: 3, step: 20, at: 2 }));
    expect(all.of('one', 2)).toMatchObject({
      loss: 2,
      step: 20,
      samplesPerSecond: 200,
      samplesTrained: 1200,
    });
    expect(all.of('one', 1)).toMatchObject({ loss: 1, samplesPerSecond: 100 });
  });
});
