import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { exponentOf } from './fit.ts';
import { bytesOverChannels, natsOverDepth, operatorOverRuns, stepOverBatch } from './measure.ts';
import { plot } from './plot.ts';

/**
 * Measures how costs grow with size, with fitted exponents: `node bench/growth/run.ts
 * [--no-operator] [--record]`. --no-operator skips the curve that needs a Kubernetes control plane.
 */

const { values } = parseArgs({
  allowNegative: true,
  options: {
    operator: { type: 'boolean', default: true },
    record: { type: 'boolean', default: false },
  },
});

const where = machine();
const curves = [
  stepOverBatch([4, 8, 16, 32, 64], 1),
  bytesOverChannels([8, 16, 64, 256, 1024]),
  await natsOverDepth([64, 128, 256, 512, 1024], 100_000),
  ...(values.operator ? [await operatorOverRuns([50, 100, 200, 400, 800])] : []),
];
const fitted = curves.map((curve) => ({ ...curve, exponent: exponentOf(curve.points) }));
const table = {
  columns: ['of what', 'over', 'from', 'to', 'exponent'],
  rows: fitted.map(({ what, x, y, points, exponent }) => {
    const at = (i: number) => points.at(i) ?? { x: Number.NaN, y: Number.NaN };
    const end = (i: number) =>
      `${Number(at(i).y.toPrecision(3)).toLocaleString('en-US')} ${y} at ${at(i).x}`;
    return [what, x, end(0), end(-1), exponent.toFixed(2)];
  }),
};
const result = {
  name: 'growth',
  title: 'Growth',
  machine: where,
  method:
    'The exponent of a power law fitted to all points of a curve: 1 is linear, less is better.',
  tables: [table],
  notes: ['![cost over size, with a line of slope 1](growth.svg)'],
  ratios: {},
};
console.log(markdown(table));
if (values.record) {
  record(result);
  writeFileSync(join(import.meta.dirname, '../growth.svg'), await plot(curves));
}
