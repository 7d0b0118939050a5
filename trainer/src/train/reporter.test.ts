import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModuleConfig, Report } from '@greedy-infomax/crds';
import pino from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ControlChannel } from './control-channel.ts';
import { readHistory } from './history.ts';
import { Reporter } from './reporter.ts';

let folder: string;
let reports: Report[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reporter-'));
  reports = [];
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const history = () => join(folder, 'history.jsonl');
function open(): Reporter {
  const config = { uid: 'u', name: 'm', budget: 100 } as ModuleConfig;
  const channel = { report: (report: Report) => reports.push(report) } as unknown as ControlChannel;
  const facts = () => ({
    step: 3,
    samplesTrained: 6,
    samplesDropped: 1,
    samplesReused: 2,
    checkpointStep: null,
  });
  const options = { config, replica: 1, log: pino({ level: 'silent' }) };
  return new Reporter(options, channel, history(), facts);
}

it('reports memory in bytes and time in milliseconds since 1970', () => {
  const before = Date.now();
  open().enter('training');
  const { rss } = process.memoryUsage();
  expect(reports[0]?.memoryBytes).toBeGreaterThan(0.5 * rss);
  expect(reports[0]?.memoryBytes).toBeLessThan(50 * rss);
  expect(reports[0]?.at).toBeGreaterThanOrEqual(before);
  expect(reports[0]?.at).toBeLessThanOrEqual(Date.now());
});

it('reports once a second, and immediately when the phase changes', () => {
  const reporter = open();
  reporter.enter('training');
  for (let i = 0; i < 30; i += 1) {
    vi.advanceTimersByTime(100);
    reporter.tick();
  }
  expect(reports).toHaveLength(1 + 3);
  reporter.enter('finished');
  // The last report of the training, and the first of the new phase.
  expect(reports.slice(4).map(({ phase }) => phase)).toEqual(['training', 'finished']);
});

it('writes the history during training only, and the time of each report for probes', () => {
  const progress = join(folder, 'progress');
  vi.stubEnv('PROGRESS_FILE', progress);
  const reporter = open();
  reporter.enter('starting');
  expect(readFileSync(progress, 'utf8')).toBe(`${reports.at(-1)?.at}\n`);
  reporter.enter('training');
  reporter.enter('forwarding');
  const lines = readHistory(history());
  expect(
    lines.map(({ step, samples, samplesDropped, samplesReused }) => [
      step,
      samples,
      samplesDropped,
      samplesReused,
    ]),
  ).toEqual([
    [3, 6, 1, 2],
    [3, 6, 1, 2],
  ]);
});

it('a history that cannot be written does not end the training', () => {
  const reporter = open();
  rmSync(folder, { recursive: true });
  reporter.enter('training');
  expect(reporter.message).toMatch(/cannot write the history: ENOENT/);
  reporter.enter('forwarding');
  expect(reports.at(-1)?.message).toMatch(/cannot write the history/);
  folder = mkdtempSync(join(tmpdir(), 'reporter-'));
});
