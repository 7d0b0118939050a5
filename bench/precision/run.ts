import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Encoding, Precision } from '@greedy-infomax/crds';
import { formatPercent } from '../../operator/src/report/format.ts';
import type { Summary } from '../../operator/src/report/summary.ts';
import { mean } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { GIM, summaryOf, trainBy, writeDigits } from '../training.ts';

/**
 * Measures the accuracy and speed of fewer bits, in matmuls (bfloat16) and in transferred
 * activations (int4): trains examples/digits.yaml with each, from the same seeds: `node
 * bench/precision/run.ts [--samples N] [--seeds N] [--record]`. Takes about 10 minutes.
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
/** Epochs of the linear probes. */
const EPOCHS = 30;
/** Variants by name: the precision of matmuls, and the encoding of activations. */
const VARIANTS: Record<string, { precision: Precision; encoding: Encoding }> = {
  'float32, int8': { precision: 'float32', encoding: 'int8' },
  'float32, int4': { precision: 'float32', encoding: 'int4' },
  'bfloat16, int8': { precision: 'bfloat16', encoding: 'int8' },
};
const NAMES = Object.keys(VARIANTS);

const where = machine();
const folder = mkdtempSync(join(tmpdir(), 'bench-precision-'));
const summaries = new Map<string, Summary[]>(NAMES.map((variant) => [variant, []]));
try {
  for (const seed of seeds) {
    for (const variant of NAMES) {
      const summary = await train(variant, seed);
      summaries.get(variant)?.push(summary);
      console.log(`seed ${seed}, ${variant}:`, ...summary.modules.flatMap(accuracyOf));
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}

const names = summaries.get(NAMES[0] as string)?.[0]?.modules.map(({ name }) => name) ?? [];
const result = {
  name: 'precision',
  title: 'Accuracy with fewer bits',
  machine: where,
  method: `examples/digits.yaml, three modules in three processes, ${samples} samples a module, from the seeds ${seeds.join(', ')}: accuracy of a linear probe of ${EPOCHS} epochs, mean and range over the seeds. Linear probes are float32 in either.`,
  tables: [
    {
      columns: [
        'products, activations that travel',
        ...names,
        'samples/s, slowest module',
        'wall time',
      ],
      rows: NAMES.map(cells),
    },
  ],
  notes: [],
  ratios: {},
};
console.log(`\n${result.tables.map(markdown).join('\n')}`);
if (values.record) record(result);

async function train(variant: string, seed: number): Promise<Summary> {
  const out = join(folder, `run-${seed}-${NAMES.indexOf(variant)}`);
  mkdirSync(out);
  const file = `${out}.yaml`;
  writeDigits(file, (spec) => {
    spec.seed = seed;
    spec.precision = VARIANTS[variant]?.precision;
    spec.buffers.encoding = VARIANTS[variant]?.encoding;
    spec.training = { samples };
    spec.evaluation.epochs = EPOCHS;
  });
  await trainBy([GIM, 'run', file, '--out', out], out, {});
  return summaryOf(out);
}

function cells(variant: string): string[] {
  const of = summaries.get(variant) ?? [];
  const accuracies = names.map((_, i) => of.flatMap(({ modules }) => accuracyOf(modules[i])));
  const rates = of.map(({ modules }) =>
    Math.min(...modules.flatMap(({ samplesPerSecond }) => samplesPerSecond ?? [])),
  );
  return [
    variant,
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
