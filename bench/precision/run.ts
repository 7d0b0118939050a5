import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Precision } from '@greedy-infomax/crds';
import { formatPercent } from '../../operator/src/report/format.ts';
import type { Summary } from '../../operator/src/report/summary.ts';
import { mean } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { GIM, summaryOf, trainBy, writeDigits } from '../training.ts';

/**
 * What bfloat16 costs in accuracy and gains in time: trains examples/digits.yaml in either precision, from the same
 * seeds: `node bench/precision/run.ts [--samples N] [--seeds N] [--record]`. Takes about 10 minutes.
 */

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '20000' },
    seeds: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
  },
});
const samples = Number(values.samples);
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i + 2);
/** Of the readouts. */
const EPOCHS = 30;
const PRECISIONS: readonly Precision[] = ['float32', 'bfloat16'];

const where = machine();
const folder = mkdtempSync(join(tmpdir(), 'bench-precision-'));
const summaries = new Map<Precision, Summary[]>(PRECISIONS.map((precision) => [precision, []]));
try {
  for (const seed of seeds) {
    for (const precision of PRECISIONS) {
      const summary = await train(precision, seed);
      summaries.get(precision)?.push(summary);
      console.log(`seed ${seed}, ${precision}:`, ...summary.modules.flatMap(accuracyOf));
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

const names = summaries.get('float32')?.[0]?.modules.map(({ name }) => name) ?? [];
const result = {
  name: 'precision',
  title: 'Accuracy in bfloat16',
  machine: where,
  method: `examples/digits.yaml, three modules in three processes, ${samples} samples a module, from the seeds ${seeds.join(', ')}: accuracy of a linear readout of ${EPOCHS} epochs, mean and range over the seeds. Readouts are float32 in either.`,
  tables: [
    {
      columns: ['precision', ...names, 'samples/s, slowest module', 'wall time'],
      rows: PRECISIONS.map(cells),
    },
  ],
  notes: [],
  ratios: {},
};
console.log(`\n${result.tables.map(markdown).join('\n')}`);
if (values.record) record(result);

async function train(precision: Precision, seed: number): Promise<Summary> {
  const out = join(folder, `${precision}-${seed}`);
  mkdirSync(out);
  const file = join(folder, `${precision}-${seed}.yaml`);
  writeDigits(file, (spec) => {
    spec.seed = seed;
    spec.precision = precision;
    spec.training = { samples };
    spec.evaluation.epochs = EPOCHS;
  });
  await trainBy([GIM, 'run', file, '--out', out], out, {});
  return summaryOf(out);
}

function cells(precision: Precision): string[] {
  const of = summaries.get(precision) ?? [];
  const accuracies = names.map((_, i) => of.flatMap(({ modules }) => accuracyOf(modules[i])));
  const rates = of.map(({ modules }) =>
    Math.min(...modules.flatMap(({ samplesPerSecond }) => samplesPerSecond ?? [])),
  );
  return [
    precision,
    ...accuracies.map(
      (each) =>
        `${formatPercent(mean(each))} (${formatPercent(Math.min(...each))} to ${formatPercent(Math.max(...each))})`,
    ),
    mean(rates).toFixed(0),
    `${mean(of.map(({ wallSeconds }) => wallSeconds)).toFixed(0)} s`,
  ];
}

function accuracyOf(module: Summary['modules'][number] | undefined): number[] {
  return module?.probeAccuracy == null ? [] : [module.probeAccuracy];
}
