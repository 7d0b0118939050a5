import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { formatBytes } from '../../operator/src/report/format.ts';
import { median } from '../alternate.ts';
import { machine } from '../machine.ts';
import { markdown, record } from '../results.ts';
import { writeDigits } from '../training.ts';

/**
 * Measures the time from a trainer's start to its first step, and the size of its installation:
 * `node bench/startup/run.ts [--rounds N] [--record]`.
 */

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    record: { type: 'boolean', default: false },
  },
});

const ROOT = join(import.meta.dirname, '../..');
const CACHE = process.env.GREEDY_INFOMAX_CACHE ?? join(homedir(), '.cache/greedy-infomax');

/** A run's log lacks a line that every trainer writes. */
class LogError extends Error {
  override readonly name = 'LogError';
}

interface Start {
  /** Milliseconds from the start of the command until the trainer's process starts. */
  launched: number;
  /**
   * Milliseconds from then until it can train: code loaded, graph built, NATS connected, data
   * opened.
   */
  ready: number;
  /** Milliseconds from then until its first step is done and its checkpoint written. */
  first: number;
}

const where = machine();
const starts = Array.from({ length: Number(values.rounds) }, start);
const of = (figure: keyof Start) =>
  `${(median(starts.map((each) => each[figure])) / 1000).toFixed(2)} s`;
const times = {
  columns: ['from the start of the process', 'after'],
  rows: [
    ['`gim run`: until it starts its first trainer', of('launched')],
    ['trainer: until it may train', of('ready')],
    ['trainer: until its first step is over and saved', of('first')],
  ],
};
const sizes = {
  columns: ['', 'size'],
  rows: [
    ...['operator', 'trainer-cpu'].map((image) => [
      `image ${image}, not compressed`,
      imageSize(image),
    ]),
    ['node_modules of a checkout, with all tools', formatBytes(1024 * diskUse('node_modules'))],
    ['libtensorflow for CPUs', libraries()],
  ],
};
const result = {
  name: 'startup',
  title: 'Start-up and size',
  machine: where,
  method: `A run of one module of the digits example, with one step; median of ${starts.length}. How long the operator takes until it is ready stands under Operator.`,
  tables: [times, sizes],
  notes: [],
  ratios: {},
};
console.log(result.tables.map(markdown).join('\n\n'));
if (values.record) record(result);

function start(): Start {
  const folder = mkdtempSync(join(tmpdir(), 'bench-startup-'));
  const file = join(folder, 'run.yaml');
  const { modules } = writeDigits(file, (spec) => {
    spec.modules = spec.modules.slice(0, 1);
    spec.training = { samples: spec.batchSize };
  });
  const out = join(folder, 'out');
  const began = Date.now();
  execFileSync(join(ROOT, 'bin/gim'), ['run', file, '--out', out, '--no-evaluate'], {
    stdio: 'ignore',
  });
  const log = join(out, 'modules', modules[0].name, 'trainer.log');
  // The log is created right before the process.
  const made = statSync(log).birthtimeMs;
  const lines = readFileSync(log, 'utf8');
  rmSync(folder, { recursive: true });
  return {
    launched: made - began,
    ready: timeOf(lines, '"phase":"training"') - made,
    first: timeOf(lines, 'done training') - made,
  };
}

function timeOf(lines: string, text: string): number {
  const line = lines.split('\n').find((each) => each.includes(text));
  if (!line) throw new LogError(`the trainer's log has no line with ${text}:\n${lines}`);
  return (JSON.parse(line) as { time: number }).time;
}

/** Size of the newest archive in the cache, created by the image tests. */
function imageSize(image: string): string {
  const pattern = new RegExp(`^image-${image}-[0-9a-f]+\\.tar$`);
  const archives = readdirSync(CACHE)
    .filter((name) => pattern.test(name))
    .map((name) => statSync(join(CACHE, name)))
    .toSorted((a, b) => b.mtimeMs - a.mtimeMs);
  return archives[0] ? formatBytes(archives[0].size) : 'not built on this machine';
}

function libraries(): string {
  const found = readdirSync(CACHE).filter((name) => name.startsWith('libtensorflow-cpu-'));
  return found[0] ? formatBytes(1024 * diskUse(join(CACHE, found[0]))) : 'not on this machine';
}

/** In KiB. */
function diskUse(folder: string): number {
  const said = execFileSync('du', ['-sk', folder], { cwd: ROOT, encoding: 'utf8' });
  return Number(said.split('\t')[0]);
}
