import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainAsynchronously } from './asynchrony/asynchronous.ts';
import { allCases, type Case, type Measured, nameOf, type Result } from './asynchrony/cases.ts';
import { trainInOneProcess } from './asynchrony/in-one-process.ts';
import { page } from './asynchrony/page.ts';
import { plot } from './asynchrony/plot.ts';
import { MODULES, runFile } from './asynchrony/run-file.ts';
import { digestOfWeights } from './asynchrony/weights.ts';
import { machine } from './machine.ts';

/**
 * Trains with a slow module, at several buffer depths and with both policies, and in one process
 * without buffers; writes docs/asynchrony.md and its plot. Takes about 12 minutes on two cores.
 * Results are kept in OUT/results.json and not measured again: `node bench/asynchrony.ts [--samples
 * N] [--out DIR]`.
 */

const ROOT = join(import.meta.dirname, '..');

/**
 * Threads of each trainer and of the single process: another number changes the order of summation.
 */
const threads = Math.max(1, Math.floor(availableParallelism() / MODULES.length));
process.env.OMP_NUM_THREADS = String(threads);

const { values } = parseArgs({
  options: {
    samples: { type: 'string', default: '16000' },
    out: { type: 'string', default: join(ROOT, 'runs/asynchrony') },
  },
});
const { out } = values;
const samples = Number(values.samples);
if (!(Number.isInteger(samples) && samples > 0)) {
  throw new RangeError(`--samples is ${values.samples}; it must be a whole number above 0`);
}

mkdirSync(out, { recursive: true });
const kept = join(out, 'results.json');
const results: Result[] = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : [];
const known = new Set(results.map(nameOf));
for (const one of allCases()) {
  if (known.has(nameOf(one))) continue;
  const result = await measure(one);
  results.push(result);
  writeFileSync(kept, `${JSON.stringify(results, null, 2)}\n`);
  const seconds = result.seconds.map((s) => s.toFixed(1)).join(' / ');
  console.log(`${nameOf(one)}: ${(100 * result.accuracy).toFixed(1)}%, ${seconds} s`);
}

const day = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(ROOT, 'docs/asynchrony.md'),
  page(results, { samples, machine: machine(), day }),
);
writeFileSync(join(ROOT, 'docs/asynchrony.svg'), await plot(results));

async function measure(one: Case): Promise<Result> {
  const folder = join(out, nameOf(one));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'run.yaml');
  writeFileSync(file, runFile(one, samples));
  const place = join(folder, 'out');
  const train = one.policy === 'synchronous' ? trainSynchronously : trainAsynchronously;
  return { ...(await train(one, file, place)), weights: digestOfWeights(place) };
}

async function trainSynchronously(one: Case, file: string, folder: string): Promise<Measured> {
  const { seconds, accuracy } = await trainInOneProcess(file, folder);
  return { ...one, seconds: [seconds], reused: 0, accuracy };
}
