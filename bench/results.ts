import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trainerEnv } from '../operator/src/local/trainer-process.ts';

/**
 * Results of a benchmark, stored in `results/NAME.json`: RESULTS.md is generated from these files,
 * and `bench-quick` compares with their ratios.
 */

export interface BenchResult {
  /** Name of the benchmark and of the file. */
  name: string;
  /** A heading. */
  title: string;
  /** YYYY-MM-DD. */
  day: string;
  /** Machine, with the versions of all software involved. */
  machine: string;
  /** Description of the comparison, in sentences. */
  method: string;
  tables: Table[];
  /** Interpretation of the tables and failed attempts; one paragraph each. */
  notes: string[];
  /** Ratios by name: figures comparable across machines. */
  ratios: Record<string, number>;
}

export interface Table {
  columns: string[];
  rows: string[][];
}

/** All competitors use the trainers' memory settings; each chooses its own threads. */
export const BENCH_ENV: NodeJS.ProcessEnv = {
  GLIBC_TUNABLES: trainerEnv({}).GLIBC_TUNABLES,
  ...process.env,
};

const FOLDER = join(import.meta.dirname, 'results');

const fileOf = (name: string): string => join(FOLDER, `${name}.json`);

/** Replaces the result of the benchmark of that name. */
export function record(result: Omit<BenchResult, 'day'>): void {
  const day = new Date().toISOString().slice(0, 10);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(fileOf(result.name), `${JSON.stringify({ ...result, day }, null, 2)}\n`);
}

/** Returns the last recorded result of that name. */
export const recorded = (name: string): BenchResult =>
  JSON.parse(readFileSync(fileOf(name), 'utf8')) as BenchResult;

/** Formats a Markdown table. */
export function markdown({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Formats a result as a section of RESULTS.md. */
export function section({ title, day, machine, method, tables, notes }: BenchResult): string {
  return [`## ${title}`, `${day}: ${machine}.`, method, ...tables.map(markdown), ...notes].join(
    '\n\n',
  );
}
