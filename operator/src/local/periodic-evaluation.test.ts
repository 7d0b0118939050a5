import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report } from '@greedy-infomax/crds';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { aReport } from '../plan/kubernetes/testing/builders.ts';
import { PeriodicEvaluation } from './periodic-evaluation.ts';

let out: string;
let notes: string[];
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'greedy-infomax-evaluations-'));
  notes = [];
});
afterEach(() => rmSync(out, { recursive: true }));

/** Writes the same files as the evaluation program. */
const PROGRAM = `
const result = { name: 'first', accuracy: 0.5, accuracyUntrained: 0.25 };
console.log(JSON.stringify(result));
require('node:fs').writeFileSync(process.argv.at(-1) + '/evaluation.json', JSON.stringify({ modules: [result] }));`;

const evaluationWith = (program: string) =>
  new PeriodicEvaluation({
    out,
    everySamples: 100,
    modules: ['first', 'second'],
    note: (line) => notes.push(line),
    command: [process.execPath, '-e', program, '--'],
  });

const trainedOn = (first: number, second: number, change: Partial<Report> = {}) =>
  new Map([
    ['first', aReport('first', { samplesTrained: first, checkpointStep: 1, ...change })],
    ['second', aReport('second', { samplesTrained: second, checkpointStep: 1 })],
  ]);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 10));
}
const history = () => {
  try {
    return readFileSync(join(out, 'evaluations.jsonl'), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};

it('evaluates once at each multiple that the slowest module reaches, and keeps the results', async () => {
  const evaluations = evaluationWith(PROGRAM);
  evaluations.consider(trainedOn(300, 99));
  evaluations.consider(trainedOn(300, 250));
  evaluations.consider(trainedOn(300, 299)); // the evaluation at 200 samples is running
  await until(() => history().length === 1);
  evaluations.consider(trainedOn(300, 299));
  await until(() => {
    evaluations.consider(trainedOn(300, 310));
    return history().length === 2;
  });
  await evaluations.stop();
  expect(notes).toEqual([
    'after 200 samples: first: linear probe 50.0%, untrained 25.0%',
    'after 300 samples: first: linear probe 50.0%, untrained 25.0%',
  ]);
});

it.each([
  ['before every module has a checkpoint', trainedOn(300, 300, { checkpointStep: null })],
  ['before every module has reported', new Map([['first', aReport('first')]])],
  ['when all are trained', trainedOn(640, 640)],
])('evaluates nothing %s', async (_, reports) => {
  const evaluations = evaluationWith(PROGRAM);
  evaluations.consider(reports);
  await evaluations.stop();
  expect(notes).toEqual([]);
  expect(history()).toEqual([]);
});

it('says what went wrong and goes on', async () => {
  const evaluations = evaluationWith('console.error("no labels"); process.exit(1)');
  evaluations.consider(trainedOn(100, 100));
  await until(() => notes.length === 1);
  expect(notes[0]).toMatch(/^the evaluation of .* failed: no labels/);
  await until(() => {
    evaluations.consider(trainedOn(200, 200));
    return notes.length === 2;
  });
  await evaluations.stop();
});

it('ends a running evaluation without a message', async () => {
  const evaluations = evaluationWith('setTimeout(() => {}, 60_000)');
  evaluations.consider(trainedOn(100, 100));
  await evaluations.stop();
  expect(notes).toEqual([]);
});
