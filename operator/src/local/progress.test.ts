import type { Report } from '@greedy-infomax/crds';
import { describe, expect, it } from 'vitest';
import { compactLine, type ModuleProgress, progressLines } from './progress.ts';

const report = (changes: Partial<Report> = {}): Report => ({
  run: 'uid',
  module: 'two',
  replica: 0,
  phase: 'training',
  step: 100,
  samplesTrained: 2500,
  samplesTotal: 10_000,
  loss: 2.5,
  lossFirst: 2.8,
  samplesPerSecond: 750,
  stalenessSteps: { p50: 3, p95: 12 },
  stalenessSeconds: { p50: 0.1, p95: 0.4 },
  samplesDropped: 0,
  samplesReused: 0,
  checkpointStep: null,
  at: 0,
  ...changes,
});

const module = (changes: Partial<ModuleProgress> = {}): ModuleProgress => ({
  name: 'two',
  process: 'running',
  restarts: 0,
  report: report(),
  ...changes,
});

describe('progressLines', () => {
  const lines = (modules: ModuleProgress[], width = 200) =>
    progressLines({ run: 'digits', startedAt: 1000, modules }, 66_000, width);

  it('has a headline with the time so far and a line a module', () => {
    const [headline, ...rest] = lines([module(), module({ name: 'three' })]);
    expect(headline).toBe('digits  1 min 5 s');
    expect(rest.map((line) => line.split(/\s+/)[0])).toEqual(['two', 'three']);
  });

  it('shows phase, bar, percent, loss, speed, staleness and the time left', () => {
    expect(lines([module()])[1]).toBe(
      'two  training    █████░░░░░░░░░░░░░░░  25%  ETA 10.0 s  loss 2.500  750 samples/s  stale 3/12',
    );
  });

  it('shows dropped samples and restarts only where there are some', () => {
    const [, quiet, noisy] = lines([
      module(),
      module({ restarts: 2, report: report({ samplesDropped: 1234 }) }),
    ]);
    expect(quiet).not.toMatch(/dropped|restarts/);
    expect(noisy).toContain('dropped 1,234  restarts 2');
  });

  it('starts with nothing known', () => {
    expect(lines([module({ report: null })])[1]).toMatch(/^two {2}starting .*0%$/);
    expect(lines([module({ report: report({ samplesTotal: 0 }) })])[1]).toContain('0%');
  });

  it('names no time left when nothing is trained', () => {
    const forwarding = module({ report: report({ phase: 'forwarding', samplesTrained: 10_000 }) });
    const stuck = module({ report: report({ samplesPerSecond: 0 }) });
    for (const line of lines([forwarding, stuck])) expect(line).not.toContain('ETA');
  });

  it('goes by the process where that knows better than the last report', () => {
    const phases = (['waiting', 'done', 'stopped', 'failed'] as const).map(
      (process) => lines([module({ process })])[1]?.split(/\s+/)[1],
    );
    expect(phases).toEqual(['restarting', 'finished', 'stopped', 'failed']);
  });

  it('shows the whole message of a module at any width', () => {
    const message = 'cannot write /a/long/path/checkpoint-000000375.safetensors: ENOSPC: disk full';
    const shown = lines([module({ report: report({ message }) })], 40);
    expect(Math.max(...shown.map((line) => line.length))).toBe(40);
    expect(
      shown
        .slice(2)
        .map((line) => line.slice(2))
        .join(''),
    ).toBe(message);
  });

  it('never gets wider than it may', () => {
    for (const line of lines([module()], 30)) expect(line.length).toBeLessThanOrEqual(30);
  });
});

it('passes on what a trainer has to say', () => {
  const line = compactLine(module({ report: report({ message: 'the disk is full' }) }));
  expect(line).toMatch(/^two: training {2}25% .*the disk is full$/);
});
