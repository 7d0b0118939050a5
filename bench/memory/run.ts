import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { layersCost, type PatchShape } from '@greedy-infomax/crds';
import { formatSi } from '../../operator/src/report/format.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { type Case, casesOf } from './cases.ts';
import type { Memory } from './child.ts';

/**
 * Measures the memory of a process that trains one module of the paper's encoder, all of them, or
 * the same layers end to end: `node bench/memory/run.ts [--batch N] [--steps N] [--record]`. A
 * ratio above 1: the process needs less than end-to-end training.
 */

const { values } = parseArgs({
  options: {
    batch: { type: 'string', default: '4' },
    steps: { type: 'string', default: '2' },
    record: { type: 'boolean', default: false },
  },
});
const CHILD = join(import.meta.dirname, 'child.ts');

/**
 * Makes peaks reflect used memory: TensorFlow's allocator with oneDNN never returns memory, and the
 * C library returns large blocks at once.
 */
const ENVIRONMENT = {
  ...process.env,
  TF_CPP_MIN_LOG_LEVEL: '2',
  TF_ENABLE_ONEDNN_OPTS: '0',
  MALLOC_MMAP_THRESHOLD_: String(2 ** 17),
  MALLOC_TRIM_THRESHOLD_: String(2 ** 17),
};

const where = machine();
const measured = casesOf(Number(values.batch)).map((subject, number) => {
  const memory = measure(number);
  console.error(`${subject.title}: ${JSON.stringify(memory)}`);
  return { subject, memory };
});

const above = ({ training, idle }: Memory): number => training - idle;
const whole = above((measured[0] as (typeof measured)[number]).memory);
const first = measured.find(({ subject }) => subject.title.endsWith(' alone'))?.memory as Memory;
const joint = above((measured[1] as (typeof measured)[number]).memory);
const MB = 1e6;
const table = {
  columns: [
    'in one process',
    'encoder',
    'peak, MB',
    'of it the step, MB',
    'compiling, MB',
    'ratio',
  ],
  rows: measured.map(({ subject, memory }) => [
    subject.title,
    formatSi(encoderParameters(subject)),
    (memory.training / MB).toFixed(0),
    (above(memory) / MB).toFixed(0),
    (memory.compiling / MB).toFixed(0),
    (whole / above(memory)).toFixed(2),
  ]),
};
const result = {
  name: 'memory',
  title: `Memory of a training process, batch ${values.batch}`,
  machine: where,
  method: `Encoder, objective and images of examples/paper/gim.yaml, ${values.steps} steps, largest resident set by the kernel's count. "Of it the step": without the ${(first.idle / MB).toFixed(0)} MB that Node and TensorFlow take before. "Compiling": the peak while the step is recorded, before the first. Ratio: step of "end to end" by this one.`,
  tables: [table],
  notes: [
    `All modules in one process take ${(joint / above(first)).toFixed(2)} times the step of the first alone; the paper reports 2.8 on a GPU with batch 16.`,
  ],
  ratios: { 'all modules by the first': joint / above(first) },
};
console.log(`${markdown(table)}\n\n${result.method}\n\n${result.notes.join('\n')}`);
if (values.record) record(result);

/** Number of trained values in the encoder's layers. */
function encoderParameters({ modules }: Case): number {
  return modules.reduce(
    (sum, { layers, input: [, ...shape] }) =>
      sum + layersCost(layers, shape as unknown as PatchShape).parameters,
    0,
  );
}

function measure(number: number): Memory {
  const args = ['--disable-warning=ExperimentalWarning', CHILD, `${number}`];
  const output = execFileSync(process.execPath, [...args, values.batch, values.steps], {
    encoding: 'utf8',
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output.trim().split('\n').at(-1) as string) as Memory;
}
