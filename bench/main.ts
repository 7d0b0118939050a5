import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BENCH_ENV, recorded, section } from './results.ts';

/**
 * Runs the benchmarks and writes RESULTS.md from their recorded results: `node bench/main.ts [NAME
 * …] [--render]`. Without names: all of them. --render runs none.
 */

/** In the order of the page. */
const BENCHMARKS = [
  'step',
  'pipeline',
  'accuracy',
  'edge',
  'memory',
  'averaging',
  'precision',
  'operator',
  'startup',
  'growth',
];

/** Benchmarks on the page; some have a separate result for a GPU. */
const SECTIONS = BENCHMARKS.flatMap((name) => [name, `${name}-gpu`]);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { render: { type: 'boolean', default: false } },
});
for (const name of positionals) {
  if (!BENCHMARKS.includes(name)) {
    throw new RangeError(`unknown benchmark ${name}; known are ${BENCHMARKS.join(', ')}`);
  }
}

const failed: string[] = [];
const chosen = positionals.length > 0 ? positionals : BENCHMARKS;
for (const name of values.render ? [] : chosen) {
  console.log(`\n${name}`);
  const script = join(import.meta.dirname, name, 'run.ts');
  const args = ['--disable-warning=ExperimentalWarning', script, '--record'];
  if (spawnSync(process.execPath, args, { stdio: 'inherit', env: BENCH_ENV }).status !== 0) {
    failed.push(name);
  }
}
writePage();
if (failed.length > 0) {
  console.error(`no new result of ${failed.join(', ')}; see their output above`);
  process.exitCode = 1;
}

function writePage(): void {
  const there = existsSync(join(import.meta.dirname, 'results'))
    ? readdirSync(join(import.meta.dirname, 'results'))
    : [];
  const sections = SECTIONS.filter((name) => there.includes(`${name}.json`)).map((name) =>
    section(recorded(name)),
  );
  const head = `# Results

What \`make bench\` measured, a section a benchmark; \`make bench-NAME\` runs one alone. Competitors take turns in one run on one machine, so that ratios mean the same on another machine; figures do not. A ratio above 1 is in favour of this project.`;
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), `${[head, ...sections].join('\n\n')}\n`);
}
