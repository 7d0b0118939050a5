import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDocument } from 'yaml';
import { METHODS, type Method, markdownTable, type Outcome, rowsOf } from './paper-table.ts';
import { GIM, summaryOf, TrainingError } from './training.ts';

/**
 * Trains every method of the paper's table on handwritten digits and prints the table, which is
 * also written to OUT/table.md. `node bench/paper-small.ts [--samples N] [--only FILE,…] [--out
 * DIR]`; without `--samples` each module trains on the budget of its run file, which takes about
 * half an hour on two idle cores.
 */

const ROOT = join(import.meta.dirname, '..');

const { values } = parseArgs({
  options: {
    samples: { type: 'string' },
    only: { type: 'string' },
    out: { type: 'string', default: join(ROOT, 'runs/paper-small') },
  },
});
const samples = values.samples === undefined ? undefined : Number(values.samples);
const only = values.only?.split(',');
const unknown = only?.find((file) => !METHODS.some((method) => method.file === file));
if (unknown !== undefined) {
  const known = METHODS.map(({ file }) => file).join(', ');
  throw new RangeError(`--only names ${unknown}; there are ${known}`);
}
if (samples !== undefined && !(Number.isInteger(samples) && samples > 0)) {
  throw new RangeError(`--samples is ${values.samples}; it must be a whole number above 0`);
}

const outcomes: Outcome[] = [];
for (const method of METHODS) {
  if (only && !only.includes(method.file)) continue;
  outcomes.push({ method, summary: await train(method, values.out) });
}
const table = markdownTable(rowsOf(outcomes));
writeFileSync(join(values.out, 'table.md'), `${table}\n`);
console.log(`\n${table}`);

/** Trains on this machine, in a separate folder. */
async function train({ title, file }: Method, folder: string) {
  const out = join(folder, file);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const runFile = join(folder, `${file}.yaml`);
  writeFileSync(
    runFile,
    shortened(readFileSync(join(ROOT, 'examples/small', `${file}.yaml`), 'utf8')),
  );
  console.log(`\n${title}`);
  const child = spawn(GIM, ['run', runFile, '--out', out], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new TrainingError(`${title}: gim run ended with code ${code}; see ${out}`);
  return summaryOf(out);
}

/** Run file with the requested budget. */
function shortened(text: string): string {
  if (samples === undefined) return text;
  const document = parseDocument(text);
  document.setIn(['spec', 'training'], document.createNode({ samples }));
  return document.toString();
}
