import { expect, it } from 'vitest';
import type { Link, Pipeline, Stage } from './pipeline.ts';
import { simulate } from './simulate.ts';

/** The simulator against what can be worked out on paper. Times without jitter unless a test is about it. */

const stage = (name: string, msPerBatch: number, more: Partial<Stage> = {}): Stage => ({
  name,
  replicas: 1,
  batchSize: 32,
  msPerBatch,
  forwardMsPerBatch: msPerBatch / 3,
  cores: 1,
  keepsTo: null,
  slowdown: 1,
  ...more,
});

const FAST: Link = {
  sampleBytes: 100_000,
  samplesPerMessage: 8,
  depth: 128,
  megabytesPerSecond: Number.POSITIVE_INFINITY,
  cpuSecondsPerGigabyte: 0,
};

const pipeline = (stages: Stage[], more: Partial<Pipeline> = {}, link: Partial<Link> = {}) => ({
  stages,
  links: stages.slice(1).map(() => ({ ...FAST, ...link })),
  whenFull: 'dropOldest' as const,
  maxReuse: 0,
  stores: false,
  budget: 32_000,
  cores: null,
  jitter: 0,
  seed: 1,
  ...more,
});

const POLICIES = ['dropOldest', 'block'] as const;

it('one module trains as fast as its steps', () => {
  const { samplesPerSecond, stages, bottleneck } = simulate(pipeline([stage('one', 10)]));
  expect(samplesPerSecond).toBeCloseTo(3200);
  expect(stages[0]).toMatchObject({ busy: 1, stalenessSteps: null, dropped: 0 });
  expect(bottleneck).toBe('module one');
});

it.each(POLICIES)('with %s a pipeline is as fast as its slowest module', (whenFull) => {
  for (const slow of [0, 1, 2]) {
    const stages = ['one', 'two', 'three'].map((name, i) => stage(name, i === slow ? 25 : 10));
    const { samplesPerSecond, bottleneck } = simulate(pipeline(stages, { whenFull }));
    expect(samplesPerSecond).toBeGreaterThan(0.98 * 1280);
    expect(samplesPerSecond).toBeLessThanOrEqual(1280);
    expect(bottleneck).toBe(`module ${stages[slow]?.name}`);
  }
});

it('two replicas make a slow module twice as fast', () => {
  const stages = [stage('one', 10), stage('two', 20, { replicas: 2 })];
  const { samplesPerSecond } = simulate(pipeline(stages, { whenFull: 'block' }));
  expect(samplesPerSecond).toBeGreaterThan(0.98 * 3200);
});

it('processes that share one core train in the time of all their steps', () => {
  const stages = [stage('one', 10), stage('two', 20), stage('three', 30)];
  const { samplesPerSecond, coresBusy, bottleneck } = simulate(
    pipeline(stages, { cores: 1, whenFull: 'block' }),
  );
  expect(samplesPerSecond / (1000 / 60) / 32).toBeCloseTo(1, 1);
  expect(coresBusy).toBeCloseTo(1);
  expect(bottleneck).toBe('the cores');
});

it('more cores than the modules want are no help', () => {
  const stages = [stage('one', 10), stage('two', 20), stage('three', 10)];
  const rate = (cores: number | null) => simulate(pipeline(stages, { cores })).samplesPerSecond;
  expect(rate(8)).toBeCloseTo(rate(null));
  expect(rate(1)).toBeLessThan(rate(2));
});

it('a trainer that is slowed down waits by the time that its step took with others on the cores', () => {
  const both = [stage('one', 10, { replicas: 2, slowdown: 3 })];
  expect(simulate(pipeline(both)).samplesPerSecond).toBeCloseTo(64 / 0.03);
  // On one core two steps take 20 ms together, and both trainers wait for 40 ms.
  expect(simulate(pipeline(both, { cores: 1 })).samplesPerSecond).toBeCloseTo(64 / 0.06);
});

it('trainers that keep to one core share it, even where another is idle', () => {
  const rate = (...keepTo: number[]) => {
    const stages = keepTo.map((core, i) => stage(`module ${i}`, 10, { keepsTo: [core] }));
    return simulate(pipeline(stages, { cores: 2, whenFull: 'block' })).samplesPerSecond;
  };
  expect(rate(0, 1) / 3200).toBeCloseTo(1, 1);
  expect(rate(1, 1) / 1600).toBeCloseTo(1, 1);
  expect(rate(0, 1, 1) / 1600).toBeCloseTo(1, 1);
});

it('what the edges compute goes to the core that has time', () => {
  const stages = [stage('one', 32, { keepsTo: [0] }), stage('two', 64, { keepsTo: [1] })];
  const { seconds } = simulate(
    pipeline(stages, { whenFull: 'block', cores: 2 }, { cpuSecondsPerGigabyte: 10 }),
  );
  // 64 ms of steps on the second core, 32 ms of steps on the first; 32 ms for 3.2 MB would make 96 of 64.
  expect(seconds / (1000 * 0.064)).toBeLessThan(1.3);
});

it('a slow link is the bottleneck, at its own rate', () => {
  const stages = [stage('one', 10), stage('two', 10)];
  const { samplesPerSecond, bottleneck } = simulate(
    pipeline(stages, { whenFull: 'block' }, { megabytesPerSecond: 100 }),
  );
  expect(samplesPerSecond / 1000).toBeCloseTo(1, 1); // 100 MB/s of samples of 100 kB
  expect(bottleneck).toBe('the buffer behind one');
});

it('what the edges compute takes cores from the modules', () => {
  const stages = [stage('one', 32), stage('two', 32)];
  const withEdge = simulate(
    pipeline(stages, { whenFull: 'block', cores: 1 }, { cpuSecondsPerGigabyte: 10 }),
  );
  // 64 ms of steps and 32 ms for 3.2 MB.
  expect(withEdge.seconds / (1000 * 0.096)).toBeCloseTo(1, 1);
});

it('with block nothing is lost; with dropOldest a slow module loses what it has no time for', () => {
  const stages = [stage('one', 10), stage('two', 30)];
  expect(simulate(pipeline(stages, { whenFull: 'block' })).stages[1]?.dropped).toBe(0);
  const { stages: forecasts } = simulate(pipeline(stages));
  // While both train, two of three samples; then the first one feeds what is wanted.
  expect(forecasts[1]?.dropped).toBeGreaterThan(0.5 * 32_000);
});

it('with block a full buffer makes samples as old as it is deep', () => {
  const stages = [stage('one', 1), stage('two', 10)];
  const p50 = (depth: number) =>
    simulate(pipeline(stages, { whenFull: 'block' }, { depth })).stages[1]?.stalenessSeconds?.p50 ??
    Number.NaN;
  // Batches in the stream and the two that wait in front of it, 10 ms each; the one being used is not waiting.
  expect(p50(32 * 10) / 0.01).toBeGreaterThan(9);
  expect(p50(32 * 10) / 0.01).toBeLessThan(14);
  expect(p50(32 * 40)).toBeGreaterThan(3 * p50(32 * 10));
});

it('a module behind a slow one uses samples again where it may', () => {
  const stages = [stage('one', 30), stage('two', 10)];
  const { stages: forecasts } = simulate(pipeline(stages, { maxReuse: 2 }));
  expect(forecasts[1]?.reused).toBeGreaterThan(0.6 * 32_000);
  expect(forecasts[1]?.seconds).toBeLessThan(0.6 * (forecasts[0]?.seconds ?? 0));
});

it.each(POLICIES)(
  'with %s the same seed gives the same forecast, another seed another',
  (whenFull) => {
    const stages = [stage('one', 10), stage('two', 11)];
    const of = (seed: number) => simulate(pipeline(stages, { whenFull, jitter: 0.2, seed }));
    expect(of(3)).toEqual(of(3));
    expect(of(3)).not.toEqual(of(4));
  },
);

it('modules may have batches of different sizes', () => {
  const stages = [stage('one', 10, { batchSize: 16 }), stage('two', 10, { batchSize: 48 })];
  const { stages: forecasts } = simulate(pipeline(stages, { whenFull: 'block' }));
  expect(forecasts[1]?.samplesPerSecond).toBeGreaterThan(0.98 * 1600);
});
