import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Precision } from '@greedy-infomax/crds';
import { formatPercent } from '../../operator/src/report/format.ts';
import { type TrainedInOneProcess, trainInOneProcess } from '../asynchrony/in-one-process.ts';
import { machine } from '../machine.ts';
import { inPrecision, precisionsOf } from '../precisions.ts';
import { markdown, record } from '../results.ts';
import { GIM, summaryOf, trainBy, trainingSeconds, writeDigits } from '../training.ts';

/**
 * Measures the training time until the linear probe of the last module reaches 90 %: trains
 * examples/digits.yaml with increasing budgets, in three processes and in one that trains the
 * modules in sequence, until the accuracy is reached: `node bench/accuracy/run.ts [--samples N,…]
 * [--record]`.
 */

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '28000,35000,42000,49000' },
    record: { type: 'boolean', default: false },
  },
});
const budgets = values.samples.split(',').map(Number);
const TARGET = 0.9;

interface Way {
  name: string;
  precision: Precision;
  train(file: string, out: string): Promise<TrainedInOneProcess>;
}
const PROCESSES = 'three processes';
const IN_TURN = 'one process, in turn';
const precisions = precisionsOf(undefined);
const WAYS: readonly Way[] = [
  ...precisions.map((precision) => ({
    name: inPrecision(PROCESSES, precision),
    precision,
    train: inThreeProcesses,
  })),
  {
    name: IN_TURN,
    precision: 'float32',
    train: trainInOneProcess,
  },
];

const where = machine();
const folder = mkdtempSync(join(tmpdir(), 'bench-accuracy-'));
const rows: string[][] = [];
const reached = new Map<string, number>();
try {
  for (const { name, precision, train } of WAYS) {
    for (const samples of budgets) {
      const out = join(folder, `${rows.length}`);
      mkdirSync(out);
      const { seconds, accuracy } = await train(fileOf(samples, precision), out);
      rows.push([name, String(samples), formatPercent(accuracy), `${seconds.toFixed(0)} s`]);
      console.log(rows.at(-1)?.join('  '));
      if (accuracy < TARGET) continue;
      reached.set(name, seconds);
      break;
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

const turn = reached.get(IN_TURN);
const ratios: Record<string, number> = {};
for (const precision of precisions) {
  const name = inPrecision(PROCESSES, precision);
  const seconds = reached.get(name);
  if (turn && seconds) ratios[`in turn to ${name}`] = turn / seconds;
}
const result = {
  name: 'accuracy',
  title: 'Time until a linear probe reaches 90 %',
  machine: where,
  method: `examples/digits.yaml, its seed and its linear probes of 100 epochs, trained anew with budgets of ${budgets.join(', ')} samples a module until the last module's linear probe reaches ${formatPercent(TARGET)}. One process: as trainers with block, each sample once and in order, with all cores. Times are of the training alone.`,
  tables: [{ columns: ['way', 'samples a module', 'accuracy', 'training'], rows }],
  notes: [],
  ratios,
};
console.log(`\n${result.tables.map(markdown).join('\n')}`);
if (values.record) record(result);

async function inThreeProcesses(file: string, out: string): Promise<TrainedInOneProcess> {
  await trainBy([GIM, 'run', file, '--out', out], out, {});
  const accuracy = summaryOf(out).modules.at(-1)?.probeAccuracy ?? Number.NaN;
  return { seconds: trainingSeconds(out), accuracy };
}

function fileOf(samples: number, precision: Precision): string {
  const file = join(folder, `${samples}-${precision}.yaml`);
  writeDigits(file, (spec) => {
    spec.precision = precision;
    spec.training = { samples };
  });
  return file;
}
