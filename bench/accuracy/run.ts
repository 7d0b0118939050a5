import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatPercent } from '../../operator/src/report/format.ts';
import { type TrainedInOneProcess, trainInOneProcess } from '../asynchrony/in-one-process.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { GIM, summaryOf, trainBy, trainingSeconds, writeDigits } from '../training.ts';

/**
 * The time of training that it takes until a readout of the last module reaches 90 %: trains examples/digits.yaml anew with one
 * budget after another, in three processes and in one that trains the modules in turn, until it is reached:
 * `node bench/accuracy/run.ts [--samples N,…] [--record]`.
 */

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '35000,42000,49000,56000,70000' },
    record: { type: 'boolean', default: false },
  },
});
const budgets = values.samples.split(',').map(Number);
const TARGET = 0.9;

const WAYS = { 'three processes': inThreeProcesses, 'one process, in turn': inTurn };

const where = machine();
const folder = mkdtempSync(join(tmpdir(), 'bench-accuracy-'));
const rows: string[][] = [];
const reached = new Map<string, number>();
try {
  for (const [way, train] of Object.entries(WAYS)) {
    for (const samples of budgets) {
      const { seconds, accuracy } = await train(samples);
      rows.push([way, String(samples), formatPercent(accuracy), `${seconds.toFixed(0)} s`]);
      console.log(rows.at(-1)?.join('  '));
      if (accuracy < TARGET) continue;
      reached.set(way, seconds);
      break;
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

const [processes, turn] = Object.keys(WAYS).map((way) => reached.get(way));
const ratios: Record<string, number> = {};
if (processes && turn) ratios['in turn to three processes'] = turn / processes;
const result = {
  name: 'accuracy',
  title: 'Time until a readout reaches 90 %',
  machine: where,
  method: `examples/digits.yaml, its seed and its readouts of 100 epochs, trained anew with budgets of ${budgets.join(', ')} samples a module until the last module's readout reaches ${formatPercent(TARGET)}. One process: as trainers with block, each sample once and in order, with all cores. Times are of the training alone.`,
  tables: [{ columns: ['way', 'samples a module', 'accuracy', 'training'], rows }],
  notes: [],
  ratios,
};
console.log(`\n${result.tables.map(markdown).join('\n')}`);
if (values.record) record(result);

async function inThreeProcesses(samples: number): Promise<TrainedInOneProcess> {
  const out = join(folder, `processes-${samples}`);
  mkdirSync(out);
  await trainBy([GIM, 'run', fileOf(samples), '--out', out], out, {});
  const accuracy = summaryOf(out).modules.at(-1)?.probeAccuracy ?? Number.NaN;
  return { seconds: trainingSeconds(out), accuracy };
}

function inTurn(samples: number): Promise<TrainedInOneProcess> {
  return trainInOneProcess(fileOf(samples), join(folder, `turn-${samples}`), 1);
}

function fileOf(samples: number): string {
  const file = join(folder, `${samples}.yaml`);
  writeDigits(file, (spec) => {
    spec.training = { samples };
  });
  return file;
}
