import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PARTS, type Part } from './parts.ts';
import { type Equivalent, type MutationReport, outdated, score, share } from './score.ts';
import { windows } from './windows.ts';

/**
 * Creates mutants of the pure parts, runs the nearest tests against each, and prints the score per
 * part and all survivors. `node test/mutation/main.ts [PART ...]`; without parts: all.
 * MUTATION_SEED selects another sample, MUTATION_ONE_IN its size. Exits with 1 if a part is below
 * the goal or the list of equivalent mutants is wrong.
 */

const GOAL = 0.9;
const HERE = import.meta.dirname;
const ROOT = join(HERE, '../..');
const CACHE = process.env.GREEDY_INFOMAX_CACHE ?? join(homedir(), '.cache/greedy-infomax');
const SEED = Number(process.env.MUTATION_SEED ?? 1);
const EQUIVALENTS: Equivalent[] = JSON.parse(readFileSync(join(HERE, 'equivalent.json'), 'utf8'));

function command(name: string, args: string[], cwd: string): string {
  const { status, stdout, error } = spawnSync(name, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status === 0) return stdout;
  throw new Error(`${name} ${args.join(' ')} failed: ${error ?? stdout.slice(-4000)}`);
}

/**
 * Installs Stryker into the cache, at the versions and hashes of the lock file in this folder;
 * returns its folder.
 */
function installTool(): string {
  const lock = readFileSync(join(HERE, 'package-lock.json'));
  const folder = join(
    CACHE,
    `mutation-${createHash('sha256').update(lock).digest('hex').slice(0, 12)}`,
  );
  if (!existsSync(folder)) {
    const unfinished = `${folder}.${process.pid}`;
    mkdirSync(unfinished, { recursive: true });
    for (const file of ['package.json', 'package-lock.json'])
      cpSync(join(HERE, file), join(unfinished, file));
    const quietly = ['--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund'];
    command('npm', ['ci', ...quietly], unfinished);
    renameSync(unfinished, folder);
  }
  const vitest = join(folder, 'node_modules/vitest');
  rmSync(vitest, { force: true });
  symlinkSync(join(ROOT, 'node_modules/vitest'), vitest);
  return folder;
}

/**
 * Copies the working tree, because Stryker writes mutants into source files. Packages are links to
 * the project's.
 */
function copyTree(): string {
  const copy = join(tmpdir(), `greedy-infomax-mutation-${process.pid}`);
  const listed = command('git', ['ls-files', '-z', '-co', '--exclude-standard'], ROOT);
  for (const file of listed.split('\0').filter((name) => name && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(ROOT, file), join(copy, file));
  }
  const packages = join(copy, 'node_modules');
  mkdirSync(packages);
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name === '@greedy-infomax') continue;
    symlinkSync(join(ROOT, 'node_modules', name), join(packages, name));
  }
  mkdirSync(join(packages, '@greedy-infomax'));
  for (const name of ['crds', 'operator', 'trainer'])
    symlinkSync(join(copy, name), join(packages, '@greedy-infomax', name));
  return copy;
}

/** Files of a part that get mutants, with the sampled lines. */
function mutated({ mutate, oneIn }: Part): string[] {
  const sample = Number(process.env.MUTATION_ONE_IN ?? oneIn);
  const files = mutate.flatMap((pattern) => globSync(pattern, { cwd: ROOT }));
  return files
    .filter((file) => !file.endsWith('.test.ts') && !file.includes('/testing/'))
    .toSorted()
    .flatMap((file) => {
      const lines = readFileSync(join(ROOT, file), 'utf8').split('\n').length;
      if (sample === 1) return [file];
      return windows(file, lines, sample, SEED).map((window) => `${file}:${window}`);
    });
}

function run(tool: string, tree: string, name: string, part: Part): MutationReport {
  const config = `${name}.vitest.config.ts`;
  const hanging = {
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 90_000 } },
  };
  const tests = { include: part.tests, ...hanging };
  writeFileSync(
    join(tree, config),
    `import { defineConfig } from 'vitest/config';\nexport default defineConfig({ test: ${JSON.stringify(tests)} });\n`,
  );
  const report = join(tree, `${name}.report.json`);
  const stryker = join(tool, 'node_modules/@stryker-mutator');
  const options = {
    testRunner: 'vitest',
    plugins: [join(stryker, 'vitest-runner/dist/src/index.js')],
    vitest: { configFile: config, related: false },
    mutate: mutated(part),
    inPlace: true,
    disableTypeChecks: false,
    coverageAnalysis: 'perTest',
    ignoreStatic: part.skipConstants ?? false,
    concurrency: Number(process.env.MUTATION_PROCESSES ?? 1),
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: report },
    warnings: false,
  };
  writeFileSync(join(tree, `${name}.stryker.json`), JSON.stringify(options));
  const program = join(stryker, 'core/bin/stryker.js');
  const { status } = spawnSync(process.execPath, [program, 'run', `${name}.stryker.json`], {
    cwd: tree,
    // Fewer killed writers than in the full test of checkpoints, which takes a minute.
    env: { KILLS: '5', ...process.env },
    stdio: ['ignore', process.stderr.fd, process.stderr.fd],
  });
  if (status !== 0) throw new Error(`Stryker ended with ${status} for the part ${name}`);
  return JSON.parse(readFileSync(report, 'utf8'));
}

function main(names: string[]): boolean {
  const unknown = names.find((name) => !(name in PARTS));
  if (unknown)
    throw new Error(`no part ${unknown}; the parts are ${Object.keys(PARTS).join(', ')}`);
  const gone = outdated(EQUIVALENTS, (file) =>
    existsSync(join(ROOT, file)) ? readFileSync(join(ROOT, file), 'utf8') : undefined,
  );
  for (const { file, line } of gone)
    console.log(`equivalent.json: ${file} has no line \`${line}\` any more`);
  let good = gone.length === 0;
  const tool = installTool();
  const tree = copyTree();
  try {
    for (const [name, part] of Object.entries(PARTS)) {
      if (names.length > 0 && !names.includes(name)) continue;
      const began = performance.now();
      const result = score(run(tool, tree, name, part), EQUIVALENTS);
      for (const { file, at, line, replacement } of result.survivors)
        console.log(`survived: ${file}:${at}\n  - ${line}\n  + ${replacement}`);
      for (const { file, line, replacement } of result.wrong)
        console.log(`equivalent.json: a test finds ${file} \`${line}\` -> \`${replacement}\``);
      const { found, survivors, equivalent } = result;
      const percent = (100 * share(result)).toFixed(1);
      const minutes = ((performance.now() - began) / 60_000).toFixed(1);
      console.log(
        `${name}: ${percent} % (${found} found, ${survivors.length} survived, ${equivalent} equivalent; ${minutes} min)`,
      );
      good &&= share(result) >= GOAL && result.wrong.length === 0;
    }
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
  return good;
}

process.exitCode = main(process.argv.slice(2)) ? 0 : 1;
