import { describe, expect, it } from 'vitest';
import { Meter } from './meter.ts';

const step = (at: number, loss: number, staleness: number[] = []) => ({
  at,
  loss,
  samples: 32,
  stalenessSteps: staleness,
  stalenessSeconds: staleness,
});

describe('a meter', () => {
  it('returns null before the first step', () => {
    expect(new Meter().read(0)).toEqual({
      loss: null,
      lossFirst: null,
      samplesPerSecond: 0,
      stalenessSteps: null,
      stalenessSeconds: null,
    });
  });

  it('measures samples per second over the window only', () => {
    const meter = new Meter();
    for (let second = 0; second <= 30; second += 1) meter.add(step(second * 1000, 1));
    expect(meter.read(30_000).samplesPerSecond).toBeCloseTo(32, 0);
    expect(meter.read(60_000).samplesPerSecond).toBe(0);
  });

  it('keeps staleness in seconds and in steps for ten seconds', () => {
    const meter = new Meter();
    meter.add({ ...step(0, 1), stalenessSteps: [7], stalenessSeconds: [0.5] });
    meter.add({ ...step(5000, 1), stalenessSteps: [9], stalenessSeconds: [0.25] });
    expect(meter.read(9999)).toMatchObject({
      stalenessSteps: { p50: 7, p95: 9 },
      stalenessSeconds: { p50: 0.25, p95: 0.5 },
    });
    expect(meter.read(10_000).stalenessSteps).toEqual({ p50: 9, p95: 9 });
  });

  it('averages the first ten losses and the last hundred', () => {
    const meter = new Meter([5]);
    for (let i = 0; i < 300; i += 1) meter.add(step(i, i < 9 ? 5 : i));
    expect(meter.read(300).lossFirst).toBe(5);
    expect(meter.read(300).loss).toBe(249.5);
    expect(meter.firstLosses).toHaveLength(10);
  });
});
