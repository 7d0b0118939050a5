import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Comparison, compare } from './compare.ts';
import { BENCH_ENV, type BenchResult, markdown, recorded } from './results.ts';

/**
 * Measures a few ratios briefly and fails when one is worse than the committed one beyond a
 * tolerance: `node bench/quick.ts`. Leaves the committed results unchanged. Takes less than two
 * minutes on a quiet machine.
 */

interface Check {
  /** Options of the benchmark that shorten it. */
  name: string;
  args: string[];
  ratios: RegExp;
  /** Tolerated relative loss; short measurements scatter. */
  tolerance: number;
}

const CHECKS: readonly Check[] = [
  {
    name: 'step',
    args: ['--only', 'digits', '--precision', 'float32', '--rounds', '2', '--seconds', '1'],
    ratios: /^digits \w+$/,
    tolerance: 0.3,
  },
  {
    name: 'edge',
    args: ['--only', 'int8', '--rounds', '1', '--seconds', '3', '--block', '0'],
    ratios: /^int8 /,
    tolerance: 0.3,
  },
  {
    name: 'pipeline',
    args: [
      '--samples',
      '6400',
      '--precision',
      'float32',
      '--rounds',
      '1',
      '--pairs',
      '1',
      '--cases',
      '1',
      '--no-peer',
    ],
    ratios: /^to in turn$/,
    tolerance: 0.3,
  },
];

const results = join(import.meta.dirname, 'results');
const kept = mkdtempSync(join(tmpdir(), 'bench-quick-'));
const rows: Comparison[] = [];
for (const { name, args, ratios, tolerance } of CHECKS) {
  if (!existsSync(join(results, `${name}.json`))) {
    throw new RangeError(
      `there is no result of ${name} to compare with; make bench-${name} makes one`,
    );
  }
  const begin = performance.now();
  rows.push(
    ...compare(name, recorded(name).ratios, measured(name, args).ratios, ratios, tolerance),
  );
  console.error(`${name}: ${((performance.now() - begin) / 1000).toFixed(0)} s`);
}
rmSync(kept, { recursive: true });

console.log(
  markdown({
    columns: ['ratio', 'committed', 'now', 'at least', ''],
    rows: rows.map(({ what, committed, now, least, isWorse }) => [
      what,
      ...[committed, now, least].map((ratio) => ratio.toFixed(2)),
      isWorse ? 'WORSE' : 'as good',
    ]),
  }),
);
if (rows.some(({ isWorse }) => isWorse)) process.exitCode = 1;

/** Runs the benchmark and restores the result that it overwrote. */
function measured(name: string, args: readonly string[]): BenchResult {
  const file = join(results, `${name}.json`);
  cpSync(file, join(kept, 'before.json'));
  try {
    const script = join(import.meta.dirname, name, 'run.ts');
    execFileSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', script, ...args, '--record'],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...BENCH_ENV, CUDA_VISIBLE_DEVICES: '' } },
    );
    return recorded(name);
  } finally {
    cpSync(join(kept, 'before.json'), file);
  }
}
