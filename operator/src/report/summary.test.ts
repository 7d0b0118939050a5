import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { BrokenFileError } from './run-files.ts';
import { makeSummary, summarySchema, summaryTable } from './summary.ts';
import {
  makeConfig,
  makeHistory,
  makeReport,
  makeRunFolder,
  type TestModule,
} from './testing/run.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});
function folder(modules: readonly TestModule[], files?: Record<string, string>): string {
  const out = makeRunFolder(modules, files);
  folders.push(out);
  return out;
}

const module = (name: string, index: number, lines = 100): TestModule => ({
  config: makeConfig(name, index),
  history: makeHistory(lines, index),
});
const rest = { wallSeconds: 100, versions: { node: '24.0.0' } };

describe('a summary', () => {
  it('takes samples, losses, drops and reuse from the last report of a module', () => {
    const report = makeReport('a', { samplesDropped: 7, samplesReused: 8 });
    const summary = makeSummary({
      out: folder([module('a', 0)]),
      reports: new Map([['a', report]]),
      ...rest,
    });
    expect(summary).toMatchObject({
      wallSeconds: 100,
      versions: { node: '24.0.0' },
      modules: [
        {
          name: 'a',
          samplesTrained: 60_000,
          lossFirst: 2.831,
          lossLast: 1.104,
          samplesDropped: 7,
          samplesReused: 8,
        },
      ],
    });
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toEqual(summary);
  });

  it('has every question that a module was asked, in columns of their own', () => {
    const speaker = { accuracy: 0.9, accuracyUntrained: 0.8 };
    const phone = { accuracy: 0.6, accuracyUntrained: 0.5 };
    const found = { modules: [{ name: 'a', ...speaker, accuracies: { speaker, phone } }] };
    const out = folder([module('a', 0)], { 'evaluation.json': JSON.stringify(found) });
    const summary = makeSummary({ out, reports: new Map(), ...rest });
    expect(summary.modules[0]).toMatchObject({
      probeAccuracy: 0.9,
      probeAccuracies: { speaker, phone },
    });
    expect(summarySchema.parse(JSON.parse(JSON.stringify(summary)))).toEqual(summary);
    const [titles, row] = summaryTable(summary).split('\n');
    expect(titles).toMatch(/speaker +untrained +phone +untrained$/);
    expect(row).toMatch(/90\.0 ?% +80\.0 ?% +60\.0 ?% +50\.0 ?%$/);
  });

  it('lists modules from input to output, whatever their names', () => {
    const out = folder([module('a', 2), module('c', 0), module('b', 1)]);
    const { modules } = makeSummary({ out, reports: new Map(), ...rest });
    expect(modules.map(({ name }) => name)).toEqual(['c', 'b', 'a']);
  });

  it('takes speed and staleness as medians without the first tenth', () => {
    const [line] = makeHistory(1, 1);
    if (!line) throw new Error('no line');
    const at = (samplesPerSecond: number, p50: number, p95: number) => ({
      ...line,
      samplesPerSecond,
      stalenessSteps: { p50, p95 },
    });
    const slowStart = [at(1, 500, 900), ...Array.from({ length: 9 }, (_, i) => at(100 + i, i, 9))];
    const out = folder([{ config: makeConfig('b', 1), history: slowStart }]);
    const [summary] = makeSummary({ out, reports: new Map(), ...rest }).modules;
    expect(summary?.samplesPerSecond).toBe(104);
    expect(summary?.stalenessSteps).toEqual({ p50: 4, p95: 9 });
  });

  it('sums up a module that never reported from its history', () => {
    const out = folder([module('b', 1, 10)]);
    expect(makeSummary({ out, reports: new Map(), ...rest }).modules[0]).toMatchObject({
      samplesTrained: 6400,
      samplesDropped: 45,
      samplesReused: 9,
    });
  });

  it('says nothing of a module that made no step', () => {
    const out = folder([module('a', 0, 0)]);
    expect(makeSummary({ out, reports: new Map(), ...rest }).modules).toEqual([
      {
        name: 'a',
        samplesTrained: 0,
        lossFirst: null,
        lossLast: null,
        probeAccuracy: null,
        probeAccuracyUntrained: null,
        samplesPerSecond: null,
        stalenessSteps: null,
        samplesDropped: 0,
        samplesReused: 0,
      },
    ]);
  });

  it('adds the accuracies once the run is evaluated', () => {
    const evaluation = { modules: [{ name: 'a', accuracy: 0.97, accuracyUntrained: 0.81 }] };
    const out = folder([module('a', 0), module('b', 1)], {
      'evaluation.json': JSON.stringify(evaluation),
    });
    const { modules } = makeSummary({ out, reports: new Map(), ...rest });
    expect(modules.map((m) => [m.probeAccuracy, m.probeAccuracyUntrained])).toEqual([
      [0.97, 0.81],
      [null, null],
    ]);
  });

  it('passes over a line of history that was cut short', () => {
    const out = folder([module('a', 0, 10)]);
    appendFileSync(join(out, 'modules/a/history.jsonl'), '{"step": 7, "samp');
    expect(makeSummary({ out, reports: new Map(), ...rest }).modules[0]?.samplesTrained).toBe(6400);
  });

  it('names the file that is broken', () => {
    const out = folder([module('a', 0)], { 'evaluation.json': '{"modules": [{"name": "a"}]}' });
    const sum = () => makeSummary({ out, reports: new Map(), ...rest });
    expect(sum).toThrow(BrokenFileError);
    expect(sum).toThrow(/evaluation\.json does not hold .*accuracy/s);
  });
});

describe('the summary table', () => {
  it('aligns a row a module, with dashes for what is not known', () => {
    const out = folder([module('encoder', 0), module('b', 1)], {
      'evaluation.json': JSON.stringify({
        modules: [{ name: 'encoder', accuracy: 0.9712, accuracyUntrained: 0.81 }],
      }),
    });
    const reports = new Map([
      ['encoder', makeReport('encoder')],
      ['b', makeReport('b', { samplesDropped: 12_345 })],
    ]);
    const lines = summaryTable(makeSummary({ out, reports, ...rest })).split('\n');
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[0]).toMatch(/^module .*samples .*loss .*samples\/s .*stale p50\/p95 .*dropped/);
    expect(lines[1]).toMatch(/^encoder +60,000 +2\.831 -> 1\.104 .* 97\.1% +81\.0%$/);
    expect(lines[2]).toMatch(/^b {7} +60,000 .* 12,345 .*–.*–$/);
  });
});
